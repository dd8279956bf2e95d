#include "trainer/eval/tasks/item_file.h"

#include <algorithm>
#include <iterator>

#include "data/documents/byte_stream.h"
#include "src/core/text.h"
#include "trainer/eval/tasks/item_format.h"
#include "trainer/eval/tasks/scorers.h"

namespace longspan {

namespace {

constexpr ItemFormat kItemFormats[] = {
    {"plain", read_plain_item},
    {"longbench", read_longbench_item},
    {"longbench_v2", read_longbench_v2_item},
    {"babilong", read_babilong_item},
    {"infinite_bench", read_infinite_bench_item},
};

constexpr int64_t kWindowBytes = int64_t{2} << 30;

std::string decompressed(const std::filesystem::path& path) {
  auto stream = open_byte_stream(path, kWindowBytes);
  std::string text;
  std::string piece(1 << 20, '\0');
  while (const size_t size = stream->read(piece.data(), piece.size())) text.append(piece, 0, size);
  return text;
}

std::vector<Json> read_records(const std::filesystem::path& path) {
  const std::string text = decompressed(path);
  const size_t first = text.find_first_not_of(" \t\r\n");
  if (first != std::string::npos && text[first] == '[') {
    const Json list = parse_json(text, path.string(), ExitCode::kData);
    return {list.begin(), list.end()};
  }
  std::vector<Json> records;
  int64_t number = 0;
  for (const auto& line : split(text, '\n')) {
    ++number;
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    records.push_back(
        parse_json(line, fmt::format("{}:{}", path.string(), number), ExitCode::kData));
  }
  if (records.empty()) {
    fail(ExitCode::kData, "{}: has no record, expected a JSON object a line", path.string());
  }
  return records;
}

}  // namespace

std::vector<std::string> required_texts(const ItemRecord& record, std::string_view key) {
  std::vector<std::string> texts;
  if (!record.json.contains(key)) {
    record.fields.error(key, "is missing");
    return texts;
  }
  const Json& given = record.json[key];
  const Json list = given.is_array() ? given : Json::array({given});
  for (const Json& item : list) {
    if (item.is_number()) texts.push_back(item.dump());
    if (item.is_string()) texts.push_back(item.get<std::string>());
  }
  if (texts.empty()) {
    record.fields.error(key, "has no text, expected at least one");
  } else if (texts.size() < list.size()) {
    record.fields.error(key, "has something that is neither text nor number");
  }
  return texts;
}

void set_choices(Question& question, const std::vector<std::string>& choices,
                 const std::string& right, const ItemRecord& record, std::string_view key) {
  if (std::find(choices.begin(), choices.end(), right) == choices.end()) {
    record.fields.error(key, fmt::format("'{}' is none of {}", right, join(choices, ", ")));
  }
  question.metric = "choice";
  question.answers = {right};
  std::copy_if(choices.begin(), choices.end(), std::back_inserter(question.distractors),
               [&](const auto& choice) { return choice != right; });
}

std::vector<DrawnItem> read_item_file(const std::filesystem::path& path,
                                      const std::string& format) {
  const auto* known = std::find_if(std::begin(kItemFormats), std::end(kItemFormats),
                                   [&](const auto& entry) { return entry.name == format; });
  const std::vector<Json> records = read_records(path);
  std::vector<DrawnItem> items;
  Diagnostics diagnostics(path.string());
  for (size_t i = 0; i < records.size(); ++i) {
    Fields fields(records[i], diagnostics, fmt::format("record {}", i + 1));
    if (records[i].is_object()) items.push_back(known->read({records[i], fields, path, records}));
  }
  diagnostics.throw_if_any(ExitCode::kData);
  return items;
}

std::vector<std::string> item_formats() {
  std::vector<std::string> names;
  for (const auto& entry : kItemFormats) names.emplace_back(entry.name);
  return names;
}

}  // namespace longspan
