#include "trainer/card/model_card_results.h"

#include <algorithm>

#include "src/core/atomic_file.h"
#include "src/core/text.h"
#include "trainer/eval/comparison.h"

namespace longspan {

namespace fs = std::filesystem;

namespace {

fs::path resolved(const fs::path& path) {
  return without_trailing_slash(fs::weakly_canonical(fs::absolute(path)));
}

bool same_place(const Json& named, const fs::path& place) {
  return named.is_string() && resolved(named.get<std::string>()) == resolved(place);
}

std::string cell(std::string text) {
  for (size_t at = 0; (at = text.find('|', at)) != text.npos; at += 2) text.insert(at, "\\");
  return text;
}

std::string markdown_row(const std::vector<std::string>& cells) {
  std::string row = "|";
  for (const auto& text : cells) row += fmt::format(" {} |", cell(text));
  return row + "\n";
}

std::string markdown_table(const Table& table) {
  std::string text = fmt::format("\n{}\n\n{}|", table.title, markdown_row(table.header));
  for (size_t i = 0; i < table.header.size(); ++i) text += "---|";
  text += "\n";
  for (const auto& row : table.rows) text += markdown_row(row);
  return text;
}

/// Which model a label stands for.
std::string label_line(const EvalResult& result, bool is_own) {
  auto text = [&](const char* key) {
    Json value = result.provenance.value(key, Json());
    return value.is_string() ? value.get<std::string>() : std::string();
  };
  std::string model = is_own ? "this model" : text("model");
  if (!is_own && !text("adapter").empty()) model += " + " + text("adapter");
  Json rope = result.provenance.value("rope", Json());
  Json on_disk = result.provenance.value("rope_on_disk", Json());
  if (!is_own && rope.is_object() && rope != on_disk) {
    model += fmt::format(" read with RoPE {}", rope.value("rope_type", ""));
    if (rope.contains("factor")) model += fmt::format(" x{:g}", rope["factor"].get<double>());
  }
  return fmt::format("- `{}`: {}\n", result.label, model);
}

std::string tables_of(const std::vector<EvalResult>& results) {
  std::string text;
  for (const auto& comparison : compare(results)) {
    auto task = make_eval_task(comparison.task);
    for (const auto& table : task->tables(comparison.models, 0)) text += markdown_table(table);
  }
  return text;
}

std::string tables_of(const std::vector<CardResult>& results) {
  std::vector<EvalResult> all;
  for (const auto& [result, is_own] : results) all.push_back(result);
  try {
    return tables_of(all);
  } catch (const Error&) {  // other texts or options: side by side they would mislead
  }
  std::string text;
  for (const auto& [result, is_own] : results) {
    if (is_own) text += tables_of(std::vector{result});
  }
  return text;
}

int64_t longest_length(const std::vector<CardResult>& results, const std::string& task_name) {
  int64_t longest = 0;
  for (const auto& [result, is_own] : results) {
    for (const auto& task : result.tasks) {
      if (task.task != task_name || !is_own) continue;
      for (const auto& row : task.rows) longest = std::max(longest, row.value("length", longest));
    }
  }
  return longest;
}

}  // namespace

std::vector<CardResult> read_card_results(const fs::path& run, const fs::path& model) {
  std::vector<CardResult> results;
  std::error_code missing;
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(run, missing)) {
    if (entry.path().extension() == ".json") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  for (const auto& file : files) {
    try {
      EvalResult result = read_eval_result(file);
      Json adapter = result.provenance.value("adapter", Json());
      Json named = adapter.is_null() ? result.provenance.value("model", Json()) : adapter;
      results.push_back({std::move(result), same_place(named, model)});
    } catch (const Error&) {  // another file
    }
  }
  return results;
}

std::string results_sections(const std::vector<CardResult>& results,
                             int64_t max_position_embeddings) {
  if (std::none_of(results.begin(), results.end(), [](const auto& r) { return r.is_own; })) {
    return "\n## Not measured\n\nNothing was measured of this model when this card was written.\n";
  }
  std::string text = "\n## Measured\n\n";
  for (const auto& [result, is_own] : results) text += label_line(result, is_own);
  text += tables_of(results);
  text += "\n## Not measured\n\n";
  for (const auto& task : eval_tasks()) {
    int64_t longest = longest_length(results, task);
    if (longest == 0) {
      text += fmt::format("- {}: not at any length\n", task);
    } else if (longest < max_position_embeddings) {
      text += fmt::format("- {}: beyond {} tokens, up to the {} the model takes\n", task,
                          human_count(longest), human_count(max_position_embeddings));
    }
  }
  return text + "- any other task\n";
}

}  // namespace longspan
