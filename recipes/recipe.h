#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "data/store/packer.h"
#include "src/core/diagnostics.h"
#include "src/core/fields_io.h"
#include "src/core/json.h"
#include "src/model/model_config.h"
#include "src/nn/lora_options.h"
#include "trainer/observers/checkpointing.h"
#include "trainer/observers/validation.h"
#include "trainer/stage.h"
#include "trainer/trainer_options.h"

namespace longspan {

class ModelSource;

struct ModelOptions {
  std::string path;                   // a Hugging Face folder or a GGUF file
  std::string dtype = "bfloat16";     // or "float32"
  std::string quantization = "none";  // of the frozen projections: or "nf4", "int8"
  // A base whose RoPE is scaled already: "error", "replace" its scaling by the recipe's, or
  // "compose" the two (see src/rope/compose_rope.h).
  std::string on_scaled = "error";
};

void fields(FieldsIo& io, ModelOptions& options);

struct DataOptions {
  std::string path;  // a token store
  int64_t min_document_tokens = 1;
  std::string scores = {};  // of its documents, by `longspan data-score`; empty: all are used
  double keep_share = 0.5;  // of the tokens, in the documents of the highest scores
  bool only_full_passages = false;
  bool shuffle = true;
};

void fields(FieldsIo& io, DataOptions& options);

/// What positions the tokens of a row have, and what they see of it.
struct PackingOptions {
  std::string positions = "consecutive";  // or "skip": PoSE (data/store/position_skip.h)
  int64_t target_length = 0;              // of skip: the length whose positions are trained
  bool document_mask = true;              // false: a row's documents see those before them

  bool skips() const { return positions == "skip"; }
  bool is_default() const { return !skips() && document_mask; }
};

void fields(FieldsIo& io, PackingOptions& options);

/// All that decides a run: the sum of the options of its parts. docs/recipes.md has its keys.
/// `rope` may also be the path of a JSON file with them. A stage takes from `train`, `rope` and
/// `attention` what it does not say itself; without `stages` there is one of train.steps.
struct Recipe {
  std::string file;             // where it was read, for errors
  Diagnostics places;           // holds no error; knows where each key stands
  Json given = Json::object();  // as it was read, with the overrides
  ModelOptions model;
  DataOptions data;
  PackingOptions packing;
  LoraOptions lora;
  std::vector<Stage> stages;
  TrainerOptions train;
  ValidationOptions validation;
  CheckpointingOptions checkpoint;
  std::string output_dir;  // runs/<name of the recipe file> unless given
};

/// Reads a recipe and applies overrides ("optimizer.lr=1e-4"). Everything that is wrong is reported
/// at once in one Error(kRecipe), a line each: file:line:column or "command line", key, what is
/// expected. Opens nothing but `path`.
Recipe load_recipe(const std::filesystem::path& path, const std::vector<std::string>& overrides);

/// The recipe with every value spelt out, all of it in `stages` where a stage may differ; what
/// load_recipe reads back as the same recipe.
Json resolved_recipe(const Recipe& recipe);

/// The key that gives stage `i` its value: "stages.0.seq_len", or `inherited` where the stage takes
/// it from the top.
std::string key_of_stage(const Recipe& recipe, size_t i, const char* key, const char* inherited);

/// What can only be checked against the base model: names in `lora` that no module answers to, a
/// projection both adapted and saved, a scaling on top of a scaling or that the family's
/// config.json cannot state, sequences beyond the extended context, weights that cannot be mapped.
/// `model` is the base where it is here, else null. Throws one Error(kRecipe) with all of it, each
/// at its place.
void check_recipe_against_model(const Recipe& recipe, const ModelConfig& base,
                                const ModelSource* model = nullptr);

}  // namespace longspan
