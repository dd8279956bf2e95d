#include "recipes/recipe.h"

#include <set>
#include <utility>

#include "checkpoints/hf/hf_focused_memory.h"
#include "checkpoints/hf/hf_rope.h"
#include "recipes/override.h"
#include "recipes/recipe_fields.h"
#include "recipes/recipe_plan.h"
#include "recipes/yaml.h"
#include "src/core/diagnostics.h"
#include "src/core/fields_writer.h"
#include "src/core/log.h"
#include "src/core/text.h"
#include "src/model/apply_lora.h"
#include "src/model/causal_lm.h"

namespace longspan {

namespace {

void read_rope_files(Json& root, Diagnostics& diagnostics) {
  const auto read = [&](Json& map, const std::string& key_path) {
    if (map.is_object() && map.contains("rope")) read_rope_file(map["rope"], key_path, diagnostics);
  };
  read(root, "rope");
  if (!root.contains("stages") || !root["stages"].is_array()) return;
  Json& stages = root["stages"];
  for (size_t i = 0; i < stages.size(); ++i) read(stages[i], fmt::format("stages.{}.rope", i));
}

}  // namespace

Recipe load_recipe(const std::filesystem::path& path, const std::vector<std::string>& overrides) {
  Diagnostics diagnostics(path.string());
  Json root = read_yaml(read_file(path, ExitCode::kRecipe), path.string(), diagnostics);
  diagnostics.throw_if_any(ExitCode::kRecipe);  // half a document would be full of false errors
  apply_overrides(overrides, root, diagnostics);
  read_rope_files(root, diagnostics);
  Recipe recipe = read_recipe(Fields(root, diagnostics));
  diagnostics.throw_if_any(ExitCode::kRecipe);
  recipe.file = path.string();
  recipe.places = std::move(diagnostics);
  recipe.given = std::move(root);
  if (recipe.output_dir.empty()) recipe.output_dir = "runs/" + path.stem().string();
  return recipe;
}

Json resolved_recipe(const Recipe& recipe) { return write_fields(recipe); }

std::string key_of_stage(const Recipe& recipe, size_t i, const char* key, const char* inherited) {
  const Json stages = recipe.given.value("stages", Json());
  const bool is_own = stages.is_array() && !stages[i].value(key, Json()).is_null();
  return is_own ? fmt::format("stages.{}.{}", i, key) : inherited;
}

namespace {

/// PEFT loads one of the two only.
void check_overlap(const Recipe& recipe, CausalLm& model, Diagnostics& diagnostics) {
  std::string both;
  model.visit_linears([&](const std::string& name, std::unique_ptr<Linear>&) {
    if (both.empty() && recipe.lora.targets(name) && recipe.lora.saves(name)) both = name;
  });
  if (both.empty()) return;
  diagnostics.error("lora.modules_to_save",
                    fmt::format("'{}' is in target_modules too, and PEFT loads only one of the "
                                "two; leave it out of one of them",
                                both));
}

void check_modules(const Recipe& recipe, const ModelConfig& base, Diagnostics& diagnostics) {
  auto model = make_causal_lm(base);
  for (const auto& [key, what] : unmatched_modules(*model, recipe.lora)) {
    diagnostics.error("lora." + key, what);
  }
  check_overlap(recipe, *model, diagnostics);
  if (recipe.model.quantization == "none") return;
  std::string saved;
  model->visit_linears([&](const std::string& name, std::unique_ptr<Linear>&) {
    if (recipe.lora.saves(name) && saved.empty()) saved = name;
  });
  if (saved.empty()) return;
  diagnostics.error(
      "lora.modules_to_save",
      fmt::format("'{}' is a projection, whose weight is frozen in {} (model.quantization); name "
                  "it in target_modules, or take quantization: none",
                  saved, recipe.model.quantization));
}

void check_attention_of_model(const Recipe& recipe, const ModelConfig& base,
                              Diagnostics& diagnostics) {
  std::set<std::string> said;  // stages may share a key
  for (size_t i = 0; i < recipe.stages.size(); ++i) {
    const AttentionPattern& attention = *recipe.stages[i].attention;
    std::string misfit = attention.misfit(base.num_hidden_layers, base.num_attention_heads);
    try {
      require_statable_attention(base.model_type, attention);
    } catch (const Error& e) {
      misfit = e.what();
    }
    const std::string key = key_of_stage(recipe, i, "attention", "attention");
    if (!misfit.empty() && said.insert(key).second) diagnostics.error(key, misfit);
  }
}

std::string beyond_context(int64_t seq_len, const RopeExtension& rope, const ModelConfig& base) {
  if (rope.other && seq_len <= rope.other->usable) {
    return fmt::format("{} tokens: {}", seq_len, ask_for_original_length(base, *rope.other));
  }
  return fmt::format(
      "{} tokens are beyond the context of {} (original {}, RoPE {} x{:.6g}); raise rope.factor or "
      "lower the length",
      seq_len, rope.context_length, rope.original_max_position_embeddings,
      rope.scaling->rope_type(), rope.scaling->factor());
}

void check_lengths(const Recipe& recipe, const ModelConfig& base, Diagnostics& diagnostics) {
  std::set<std::pair<std::string, std::string>> said;  // stages may share a key
  const auto error = [&](const std::string& key, const std::string& what) {
    if (said.emplace(key, what).second) diagnostics.error(key, what);
  };
  RopeExtension longest;
  for (size_t i = 0; i < recipe.stages.size(); ++i) {
    const Stage& stage = recipe.stages[i];
    const std::string rope_key = key_of_stage(recipe, i, "rope", "rope");
    RopeExtension rope;
    try {
      rope = extend_rope(base, stage.rope, stage.on_scaled);
    } catch (const Error& e) {
      const bool wants_key = e.code() == ExitCode::kRecipe;
      error(rope_key,
            fmt::format("{}{}", e.what(), wants_key ? "; its key is model.on_scaled" : ""));
      continue;
    }
    try {
      require_statable_rope(base, *rope.scaling);
    } catch (const Error& e) {
      error(rope_key, e.what());
    }
    if (stage.attention->belongs_to_model() && rope.scaling->rope_type() == "dynamic" &&
        stage.seq_len > base.max_position_embeddings) {
      error(rope_key,
            fmt::format("rope_type 'dynamic' is measured from max_position_embeddings, which the "
                        "config.json of a model with memory has its window in: {} in place of {}; "
                        "take yarn, or windows of no more than {}",
                        stage.seq_len, base.max_position_embeddings, base.max_position_embeddings));
    }
    if (stage.seq_len > rope.context_length) {
      error(key_of_stage(recipe, i, "seq_len", "train.seq_len"),
            beyond_context(stage.seq_len, rope, base));
    } else if (recipe.packing.target_length > rope.context_length) {
      error("packing.target_length", beyond_context(recipe.packing.target_length, rope, base));
    }
    if (rope.context_length > longest.context_length) longest = rope;
  }
  if (longest.scaling && recipe.validation.seq_len > longest.context_length) {
    log_warning("{}: validation.seq_len: {}", recipe.file,
                beyond_context(recipe.validation.seq_len, longest, base));
  }
}

}  // namespace

void check_recipe_against_model(const Recipe& recipe, const ModelConfig& base,
                                const ModelSource* model) {
  Diagnostics diagnostics = recipe.places;
  check_modules(recipe, base, diagnostics);
  check_lengths(recipe, base, diagnostics);
  check_attention_of_model(recipe, base, diagnostics);
  const std::string& path = recipe.model.path;
  const std::string& dtype = recipe.model.dtype;
  if (recipe.train.memory.weights == FrozenWeights::kMapped && !holds_dtype(recipe, base, model)) {
    diagnostics.error(
        "memory.weights",
        fmt::format("'mapped' needs weights that their file holds as {}; those of {} are not: "
                    "convert it first (longspan convert {} OUT --dtype {}), or leave "
                    "memory.weights out",
                    dtype, path, path, dtype));
  }
  diagnostics.throw_if_any(ExitCode::kRecipe);
}

}  // namespace longspan
