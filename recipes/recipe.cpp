#include "recipes/recipe.h"

#include "checkpoints/hf_rope.h"
#include "recipes/override.h"
#include "recipes/recipe_fields.h"
#include "recipes/yaml.h"
#include "src/core/diagnostics.h"
#include "src/core/text.h"
#include "src/model/causal_lm.h"

namespace longspan {

namespace {

Json typed(const char* key, std::string_view name, const Json& rest) {
  Json map = {{key, name}};
  for (const auto& [name_of, value] : rest.items()) {
    if (!value.is_null()) map[name_of] = value;
  }
  return map;
}

Json write_stage(const Stage& stage) {
  Json map = {{"steps", stage.steps},
              {"seq_len", stage.seq_len},
              {"batch_size", stage.batch_size},
              {"gradient_accumulation_steps", stage.gradient_accumulation_steps},
              {"attention", typed("pattern", stage.attention->name(), stage.attention->write())}};
  if (stage.rope) map["rope"] = typed("rope_type", stage.rope->rope_type(), stage.rope->write());
  return map;
}

/// `rope: found.json` stands for what is in that file (see longspan longrope-search).
void read_rope_file(Json& map) {
  if (!map.is_object() || !map.contains("rope") || !map["rope"].is_string()) return;
  map["rope"] = read_json_file(map["rope"].get<std::string>(), ExitCode::kRecipe);
}

}  // namespace

Recipe load_recipe(const std::filesystem::path& path, const std::vector<std::string>& overrides) {
  Diagnostics diagnostics(path.string());
  Json root = read_yaml(read_file(path, ExitCode::kRecipe), path.string(), diagnostics);
  diagnostics.throw_if_any(ExitCode::kRecipe);  // half a document would be full of false errors
  apply_overrides(overrides, root, diagnostics);
  read_rope_file(root);
  if (root.contains("stages") && root["stages"].is_array()) {
    for (Json& stage : root["stages"]) read_rope_file(stage);
  }
  Recipe recipe = read_recipe(Fields(root, diagnostics));
  diagnostics.throw_if_any(ExitCode::kRecipe);
  recipe.file = path.string();
  if (recipe.output_dir.empty()) recipe.output_dir = "runs/" + path.stem().string();
  return recipe;
}

Json resolved_recipe(const Recipe& recipe) {
  const auto& [file, model, data, lora, stages, train, validation, checkpoint, output_dir] = recipe;
  Json json = {
      {"model",
       {{"path", model.path},
        {"dtype", model.dtype},
        {"quantization", model.quantization},
        {"on_scaled", model.on_scaled}}},
      {"data",
       {{"path", data.path},
        {"min_document_tokens", data.min_document_tokens},
        {"only_full_passages", data.only_full_passages},
        {"shuffle", data.shuffle}}},
      {"lora",
       {{"r", lora.r},
        {"lora_alpha", lora.lora_alpha},
        {"use_rslora", lora.use_rslora},
        {"use_dora", lora.use_dora},
        {"target_modules", lora.target_modules},
        {"modules_to_save", lora.modules_to_save}}},
      {"train",
       {{"max_grad_norm", train.max_grad_norm},
        {"seed", train.seed},
        {"loss_chunk_tokens", train.loss_chunk_tokens},
        {"threads", train.threads}}},
      {"memory", write_memory_options(train.memory)},
      {"stages", Json::array()},
      {"optimizer",
       {{"lr", train.optimizer.lr},
        {"betas", Json::array({train.optimizer.beta1, train.optimizer.beta2})},
        {"eps", train.optimizer.eps},
        {"weight_decay", train.optimizer.weight_decay}}},
      {"lr_schedule",
       {{"type", train.lr_schedule.type},
        {"warmup_steps", train.lr_schedule.warmup_steps},
        {"min_lr_ratio", train.lr_schedule.min_lr_ratio}}},
  };
  for (const auto& [pattern, r] : lora.rank_pattern) json["lora"]["rank_pattern"][pattern] = r;
  for (const auto& [pattern, alpha] : lora.alpha_pattern) {
    json["lora"]["alpha_pattern"][pattern] = alpha;
  }
  for (const auto& stage : stages) json["stages"].push_back(write_stage(stage));
  if (!validation.path.empty()) {
    json["validation"] = {{"path", validation.path},
                          {"every_steps", validation.every_steps},
                          {"sequences", validation.sequences},
                          {"seq_len", validation.seq_len}};
  }
  json["checkpoint"] = {{"every_steps", checkpoint.every_steps},
                        {"every_minutes", checkpoint.every_minutes},
                        {"keep_last", checkpoint.keep_last}};
  json["output"] = {{"dir", output_dir}};
  return json;
}

Json resume_identity(const Recipe& recipe) {
  Json json = resolved_recipe(recipe);
  for (const char* key : {"validation", "checkpoint", "output"}) json.erase(key);
  json["model"].erase("path");  // folders move; what is in them is compared by itself
  // Whoever may go on has said it; only "compose" gives other frequencies.
  if (recipe.model.on_scaled != "compose") json["model"].erase("on_scaled");
  json["data"].erase("path");
  // Of the choices for memory only this one changes what is computed.
  json["memory"] = {
      {"optimizer_state_bits", recipe.train.memory.optimizer_state_bits.value_or(32)}};
  json["train"].erase("threads");  // the user's to choose on another machine
  return json;
}

namespace {

void check_modules(const Recipe& recipe, const ModelConfig& base, Diagnostics& diagnostics) {
  auto model = make_causal_lm(base);
  for (const auto& [key, what] : unmatched_modules(*model, recipe.lora)) {
    diagnostics.error("lora." + key, what);
  }
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

}  // namespace

void check_recipe_against_model(const Recipe& recipe, const ModelConfig& base) {
  Diagnostics diagnostics(recipe.file);
  check_modules(recipe, base, diagnostics);
  for (size_t i = 0; i < recipe.stages.size(); ++i) {
    const Stage& stage = recipe.stages[i];
    std::string path = fmt::format("stages.{}", i);
    RopeExtension rope;
    try {
      rope = extend_rope(base, stage.rope, stage.on_scaled);
    } catch (const Error& e) {
      diagnostics.error(path + ".rope", fmt::format("{}; its key is model.on_scaled", e.what()));
      continue;
    }
    try {
      require_statable_rope(base.model_type, *rope.scaling);
    } catch (const Error& e) {
      diagnostics.error(path + ".rope", e.what());
    }
    if (stage.seq_len > rope.context_length) {
      diagnostics.error(
          path + ".seq_len",
          fmt::format("{} tokens are beyond the context of {} (original {}, RoPE {} x{:.6g}); "
                      "raise rope.factor or lower seq_len",
                      stage.seq_len, rope.context_length, rope.original_max_position_embeddings,
                      rope.scaling->rope_type(), rope.scaling->factor()));
    }
  }
  diagnostics.throw_if_any(ExitCode::kRecipe);
}

}  // namespace longspan
