#include "trainer/eval/report_text.h"

#include <fmt/format.h>

#include <optional>

#include "trainer/eval/conclusions.h"

namespace longspan {

namespace {

Json written(const LengthEstimate& estimate, const std::string& rule) {
  const auto length = [](std::optional<int64_t> tokens) {
    return tokens ? Json(*tokens) : Json(nullptr);
  };
  return {{"length", length(estimate.length)},
          {"low", length(estimate.low)},
          {"high", length(estimate.high)},
          {"rule", rule}};
}

}  // namespace

std::string text_report(const std::vector<EvalResult>& results,
                        const std::vector<TaskComparison>& comparisons,
                        const std::string& reference) {
  const auto said = conclusions_by_task(results, comparisons, reference);
  std::string text;
  for (const auto& comparison : comparisons) {
    const auto task = make_eval_task(comparison.task);
    for (const auto& table :
         task->tables(comparison.models, reference_index(comparison, reference))) {
      if (!text.empty()) text += "\n";
      text += text_table(table);
    }
    const auto sentences = said.find(comparison.task);
    if (sentences == said.end() || sentences->second.empty()) continue;
    text += fmt::format("\n{}: what follows\n", task->title());
    for (const auto& sentence : sentences->second) text += fmt::format("- {}\n", sentence);
  }
  return text;
}

Json json_report(const std::vector<EvalResult>& results,
                 const std::vector<TaskComparison>& comparisons, const std::string& reference) {
  const auto said = conclusions_by_task(results, comparisons, reference);
  Json models = Json::array(), tasks = Json::array();
  for (const auto& result : results) {
    Json model = {{"label", result.label}};
    model.update(result.provenance);
    models.push_back(std::move(model));
  }
  for (const auto& comparison : comparisons) {
    const EffectiveLengths lengths =
        make_eval_task(comparison.task)->effective_lengths(comparison.models);
    Json entries = Json::array();
    for (size_t i = 0; i < comparison.models.size(); ++i) {
      const LabelledRows& model = comparison.models[i];
      Json entry = {{"label", model.label}, {"rows", model.rows}};
      if (!lengths.of_models.empty()) {
        entry["effective_length"] = written(lengths.of_models[i], lengths.rule);
      }
      entries.push_back(std::move(entry));
    }
    const auto sentences = said.find(comparison.task);
    tasks.push_back(
        {{"task", comparison.task},
         {"protocol", comparison.protocol},
         {"models", std::move(entries)},
         {"conclusions", sentences == said.end() ? Json::array() : Json(sentences->second)}});
  }
  return {{"models", std::move(models)}, {"tasks", std::move(tasks)}};
}

}  // namespace longspan
