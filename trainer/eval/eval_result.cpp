#include "trainer/eval/eval_result.h"

#include <string_view>
#include <utility>

#include "src/core/text.h"

namespace longspan {

namespace {

/// Puts the rule of a result before 30 November 2026 into the words of today, which suit arms that
/// read in several passes too.
void reword_rule(Json& protocol) {
  constexpr std::pair<std::string_view, std::string_view> kReworded[] = {
      {"one pass, no sliding window",
       "one reading a length, in as many passes as the arm takes, no sliding window"},
      {"one pass over the first", "one reading of the first"},
      {"is before it in its window;", "is before it in its window, the first only behind a BOS;"}};
  if (!protocol.contains("rule") || !protocol["rule"].is_string()) return;
  auto rule = protocol["rule"].get<std::string>();
  for (const auto& [before, now] : kReworded) {
    if (const size_t at = rule.find(before); at != rule.npos) rule.replace(at, before.size(), now);
  }
  protocol["rule"] = rule;
}

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
  reword_rule(result.protocol);
  if (!result.rows.is_array() || result.rows.empty()) {
    fail(ExitCode::kData, "{}.rows: is not a list of at least one row", prefix);
  }
  Diagnostics row_diagnostics(prefix + ".rows");
  task->check_rows(result.rows, row_diagnostics);
  for (size_t i = 0; i < result.rows.size(); ++i) {
    const Json& row = result.rows[i];
    if (row.is_object() && row.contains("arm") && !row["arm"].is_string()) {
      row_diagnostics.error(fmt::format("{}.arm", i), "is not a text");
    }
  }
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
  for (Fields& cost : fields.children("arms")) {
    std::string arm;
    int64_t length = 0;
    cost.required("arm", arm);
    cost.required("length", length);
    double number = 0;
    for (const char* key : {"time_to_first_token_seconds", "tokens_per_second",
                            "read_tokens_per_second", "flops", "peak_memory_bytes", "kv_bytes"}) {
      cost.optional(key, number);
    }
  }
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

}  // namespace longspan
