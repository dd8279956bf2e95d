#include "trainer/eval/comparison.h"

#include <algorithm>
#include <set>

#include "src/core/text.h"

namespace longspan {

namespace {

void check_labels(const std::vector<EvalResult>& results) {
  std::set<std::string> labels;
  for (const auto& result : results) {
    if (!labels.insert(result.label).second) {
      fail(ExitCode::kData,
           "report: two results are labelled '{}'; give each eval a --label of its own",
           result.label);
    }
  }
}

/// Whether all tasks were done by one arm, which then needs no name.
bool has_one_arm(const EvalResult& result) {
  std::set<std::string> arms;
  for (const auto& task : result.tasks) {
    for (const auto& row : task.rows) arms.insert(arm_of(row));
  }
  return arms.size() <= 1;
}

/// The rows of each arm apart, in the order of their first rows; `unnamed`: the result has one arm,
/// `alone`: there is no other result.
std::vector<LabelledRows> by_arm(const std::string& label, const Json& rows, bool unnamed,
                                 bool alone) {
  std::vector<LabelledRows> models;
  for (const auto& row : rows) {
    const std::string arm = arm_of(row);
    auto known = std::ranges::find(models, arm, &LabelledRows::label);
    if (known == models.end()) known = models.insert(known, {arm, Json::array()});
    known->rows.push_back(row);
  }
  for (auto& model : models) {
    model.result = label;
    if (unnamed) {
      model.label = label;
    } else if (!alone) {
      model.label = fmt::format("{}: {}", label, model.label);
    }
  }
  return models;
}

std::string value_at(const Json& json, const std::string& path) {
  const Json* value = &json;
  for (const auto& key : split(path, '.')) {
    if (value->is_array()) {
      size_t index = std::stoul(key);
      if (index >= value->size()) return "nothing";
      value = &(*value)[index];
    } else if (value->is_object() && value->contains(key)) {
      value = &value->at(key);
    } else {
      return "nothing";
    }
  }
  return value->dump();
}

void require_same_protocol(const TaskComparison& comparison, const EvalResult& result,
                           const Json& protocol) {
  std::vector<std::string> lines;
  for (const auto& path : differing_paths(comparison.protocol, protocol)) {
    // Results before 30 November 2026 have none, or the first alone.
    if ((path == "items_digest" || path == "scoring_digest") &&
        comparison.protocol.contains(path) != protocol.contains(path)) {
      continue;
    }
    lines.push_back(fmt::format("  {}: {} against {}", path, value_at(comparison.protocol, path),
                                value_at(protocol, path)));
  }
  if (lines.empty()) return;
  fail(ExitCode::kData,
       "report: the {} results of '{}' and '{}' follow different protocols and do not compare; "
       "run eval again with equal texts and options. They differ in:\n{}",
       comparison.task, comparison.models.front().result, result.label,
       fmt::join(printable_values(lines), "\n"));
}

}  // namespace

std::string arm_of(const Json& row) { return row.value("arm", "full"); }

std::vector<std::string> differing_paths(const Json& a, const Json& b) {
  std::vector<std::string> paths;
  if (a.is_structured() && a.type() == b.type()) {
    Json flat_keys = Json::object();  // the keys of both, in order
    for (const Json* side : {&a, &b}) {
      for (const auto& [key, value] : side->items()) flat_keys[key] = nullptr;
    }
    for (const auto& [key, unused] : flat_keys.items()) {
      auto child = [&key = key](const Json& json) {  // clang 14 captures no binding itself
        if (json.is_object()) return json.contains(key) ? json.at(key) : Json();
        size_t index = std::stoul(key);
        return index < json.size() ? json.at(index) : Json();
      };
      for (const auto& path : differing_paths(child(a), child(b))) {
        paths.push_back(path.empty() ? key : fmt::format("{}.{}", key, path));
      }
    }
  } else if (a != b) {
    paths.emplace_back();
  }
  return paths;
}

std::vector<TaskComparison> compare(const std::vector<EvalResult>& results) {
  check_labels(results);
  std::vector<TaskComparison> comparisons;
  for (const auto& result : results) {
    const bool unnamed = has_one_arm(result);
    for (const auto& task : result.tasks) {
      auto known = std::find_if(comparisons.begin(), comparisons.end(),
                                [&](const auto& entry) { return entry.task == task.task; });
      if (known == comparisons.end()) {
        comparisons.push_back({task.task, task.protocol, {}});
        known = comparisons.end() - 1;
      } else {
        require_same_protocol(*known, result, task.protocol);
        known->protocol.update(task.protocol);  // a digest that those before have not
      }
      for (auto& model : by_arm(result.label, task.rows, unnamed, results.size() == 1)) {
        known->models.push_back(std::move(model));
      }
    }
  }
  return comparisons;
}

std::string find_reference(const std::string& reference, const std::vector<EvalResult>& results,
                           const std::vector<TaskComparison>& comparisons,
                           const std::vector<std::filesystem::path>& files) {
  std::vector<std::string> labels;
  for (const auto& result : results) labels.push_back(result.label);
  for (const auto& comparison : comparisons) {
    for (const auto& model : comparison.models) {
      if (std::ranges::find(labels, model.label) == labels.end()) labels.push_back(model.label);
    }
  }
  if (std::ranges::find(labels, reference) != labels.end()) return reference;
  for (size_t i = 0; i < files.size(); ++i) {
    std::error_code unknown;
    if (std::filesystem::equivalent(files[i], reference, unknown)) return results[i].label;
  }
  fail(ExitCode::kUsage,
       "--reference: '{}' is neither a label nor a file of these results; expected one of {}",
       reference, join(labels, ", "));
}

size_t reference_index(const TaskComparison& comparison, const std::string& reference) {
  for (size_t i = 0; i < comparison.models.size(); ++i) {
    const LabelledRows& model = comparison.models[i];
    if (model.label == reference || model.result == reference) return i;
  }
  return 0;
}

}  // namespace longspan
