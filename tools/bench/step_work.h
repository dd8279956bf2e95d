#pragma once

#include <cxxopts.hpp>
#include <filesystem>
#include <memory>
#include <string>

#include "checkpoints/model_source.h"
#include "recipes/recipe.h"
#include "src/core/json.h"
#include "src/model/model_config.h"

namespace longspan {

// What `bench step` makes of its command line.

/// The model that is trained, as its folder has it.
struct StepModel {
  std::unique_ptr<ModelSource> source;  // none where its weights are drawn
  ModelConfig config;
  Json tokenizer_json;
};
StepModel open_step_model(const cxxopts::ParseResult& parsed);

/// The first `length` tokens of the document `text` as a token store of one document. Throws
/// Error(kData) where it has fewer.
void write_step_tokens(const std::filesystem::path& store, const std::string& text,
                       const Json& tokenizer_json, const std::string& model, int64_t length);

/// The work as a recipe that is written to `folder`, where its data is tokens.h5, changed by the
/// overrides of the command line. Throws Error(kRecipe).
Recipe make_step_recipe(const cxxopts::ParseResult& parsed, const ModelConfig& config,
                        const std::filesystem::path& folder);

}  // namespace longspan
