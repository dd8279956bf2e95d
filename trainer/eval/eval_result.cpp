#include "trainer/eval/eval_result.h"

#include <ctime>
#include <fstream>

#include "src/core/text.h"

namespace longspan {

namespace {

TaskResult read_task(const Json& json, const std::string& place, int64_t index) {
  std::string prefix = fmt::format("{}: tasks.{}", place, index);
  Diagnostics diagnostics(prefix);
  Fields fields(json, diagnostics);
  TaskResult result;
  fields.required("task", result.task);
  fields.required("protocol", result.protocol);
  fields.required("rows", result.rows);
  fields.optional("seconds", result.seconds);
  diagnostics.throw_if_any(ExitCode::kData);
  auto task = make_eval_task(result.task);
  if (!task) {
    fail(ExitCode::kData, "{}.task: '{}' is not known; expected one of {}", prefix, result.task,
         join(eval_tasks(), ", "));
  }
  if (!result.protocol.is_object()) fail(ExitCode::kData, "{}.protocol: is not a map", prefix);
  result.protocol.erase("left_out_as_too_short");  // of results before 26 November 2026
  if (!result.rows.is_array() || result.rows.empty()) {
    fail(ExitCode::kData, "{}.rows: is not a list of at least one row", prefix);
  }
  Diagnostics row_diagnostics(prefix + ".rows");
  task->check_rows(result.rows, row_diagnostics);
  row_diagnostics.throw_if_any(ExitCode::kData);
  return result;
}

}  // namespace

Json EvalResult::write() const {
  Json json = {{"format", kEvalFormat}, {"format_version", kEvalFormatVersion}, {"label", label}};
  for (const auto& [key, value] : provenance.items()) json[key] = value;
  double seconds = 0;
  Json list = Json::array();
  for (const auto& task : tasks) {
    seconds += task.seconds;
    list.push_back({{"task", task.task},
                    {"protocol", task.protocol},
                    {"rows", task.rows},
                    {"seconds", task.seconds}});
  }
  json["seconds"] = seconds;
  json["tasks"] = std::move(list);
  return json;
}

EvalResult read_eval_result(const Json& json, const std::string& place) {
  Diagnostics diagnostics(place);
  Fields fields(json, diagnostics);
  std::string format;
  int64_t version = 0;
  Json tasks = Json::array();
  EvalResult result;
  fields.required("format", format);
  fields.required("format_version", version);
  fields.required("label", result.label);
  fields.required("tasks", tasks);
  if (format != kEvalFormat) {
    fail(ExitCode::kData, "{}: is not a result of 'longspan eval' (it has no \"format\": \"{}\")",
         place, kEvalFormat);
  }
  diagnostics.throw_if_any(ExitCode::kData);
  if (version != kEvalFormatVersion) {
    fail(ExitCode::kData, "{}: has format_version {}, this longspan reads {}", place, version,
         kEvalFormatVersion);
  }
  if (!tasks.is_array() || tasks.empty()) {
    fail(ExitCode::kData, "{}: tasks: is not a list of at least one task", place);
  }
  for (const auto& [key, value] : json.items()) {
    if (key != "format" && key != "format_version" && key != "label" && key != "tasks") {
      result.provenance[key] = value;
    }
  }
  for (size_t i = 0; i < tasks.size(); ++i) {
    TaskResult task = read_task(tasks[i], place, static_cast<int64_t>(i));
    for (const auto& other : result.tasks) {
      if (other.task == task.task) {
        fail(ExitCode::kData, "{}: tasks.{}.task: '{}' is there twice, expected each task once",
             place, i, task.task);
      }
    }
    result.tasks.push_back(std::move(task));
  }
  return result;
}

EvalResult read_eval_result(const std::filesystem::path& path) {
  return read_eval_result(read_json_file(path, ExitCode::kData), path.string());
}

std::string cpu_name() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    size_t colon = line.find(": ");
    if (line.starts_with("model name") && colon != line.npos) return line.substr(colon + 2);
  }
  return "unknown";
}

std::string utc_now() {
  std::time_t now = std::time(nullptr);
  std::tm utc{};
  gmtime_r(&now, &utc);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
  return text;
}

}  // namespace longspan
