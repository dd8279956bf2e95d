#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "trainer/eval/eval_result.h"

namespace longspan {

/// The results of `longspan eval` beside a model, and which of them are its own.
struct EvaluationResults {
  std::vector<EvalResult> all;
  std::vector<std::string> own_labels;
};

/// Reads the .json files in `run` that eval wrote; `model` is a model or adapter folder.
EvaluationResults read_evaluation_results(const std::filesystem::path& run,
                                          const std::filesystem::path& model);

/// "## Measured" with tables, where there are results of the model, and "## Not measured" with what
/// they leave open up to `max_position_embeddings`. Markdown.
std::string results_sections(const EvaluationResults& results, int64_t max_position_embeddings);

}  // namespace longspan
