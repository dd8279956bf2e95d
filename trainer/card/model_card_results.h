#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "trainer/eval/eval_result.h"

namespace longspan {

/// A result of `longspan eval` beside a model.
struct CardResult {
  EvalResult result;
  bool is_own = false;  // of the model itself
};

/// Reads the .json files in `run` that eval wrote; `model` is a model or adapter folder.
std::vector<CardResult> read_card_results(const std::filesystem::path& run,
                                          const std::filesystem::path& model);

/// "## Measured" with tables, where there are results of the model, and "## Not measured" with what
/// they leave open up to `max_position_embeddings`. Markdown.
std::string results_sections(const std::vector<CardResult>& results,
                             int64_t max_position_embeddings);

}  // namespace longspan
