#include "recipes/recipe_fields.h"

#include <algorithm>
#include <limits>

#include "checkpoints/adapters/adapter_config.h"

namespace longspan {

namespace {

constexpr int64_t kMost = int64_t{1} << 40;

void require_text(Fields& fields, const char* key, std::string& value) {
  Json given;
  fields.optional(key, given);
  fields.required(key, value);
  if (given == "") fields.error(key, "is empty");
}

void positive(Fields& fields, const char* key, double& value) {
  fields.optional(key, value);
  if (!(value > 0) || value > std::numeric_limits<double>::max()) {
    fields.error(key, fmt::format("{} is out of range; expected more than 0", value));
  }
}

ModelOptions read_model(Fields fields) {
  ModelOptions options;
  require_text(fields, "path", options.path);
  fields.choice("dtype", options.dtype, {"bfloat16", "float32"});
  fields.choice("quantization", options.quantization, {"none", "nf4", "int8"});
  fields.choice("on_scaled", options.on_scaled, on_scaled_names());
  fields.finish();
  return options;
}

DataOptions read_data(Fields fields) {
  DataOptions options;
  require_text(fields, "path", options.path);
  fields.in_range("min_document_tokens", options.min_document_tokens, 1, kMost);
  fields.optional("only_full_passages", options.only_full_passages);
  fields.optional("shuffle", options.shuffle);
  fields.finish();
  return options;
}

LoraOptions read_lora(Fields fields) {
  LoraOptions options;
  fields.in_range("r", options.r, 1, 65536);
  positive(fields, "lora_alpha", options.lora_alpha);
  fields.optional("lora_dropout", options.lora_dropout);
  if (options.lora_dropout != 0) {
    fields.error("lora_dropout", fmt::format("{} is not supported; expected 0 or no such key",
                                             options.lora_dropout));
  }
  fields.optional("use_rslora", options.use_rslora);
  fields.optional("use_dora", options.use_dora);
  fields.optional("target_modules", options.target_modules);
  read_lora_patterns(fields, 65536, options);
  // In the order of adapter_config.json, where PEFT takes the first that matches.
  std::sort(options.rank_pattern.begin(), options.rank_pattern.end());
  std::sort(options.alpha_pattern.begin(), options.alpha_pattern.end());
  fields.optional("modules_to_save", options.modules_to_save);
  if (options.target_modules.empty() && options.modules_to_save.empty()) {
    fields.error("target_modules", "nothing is trained; name modules here or in modules_to_save");
  }
  fields.finish();
  return options;
}

/// The keys that `train` and each entry of `stages` share.
void read_shape(Fields& fields, Stage& stage) {
  fields.in_range("seq_len", stage.seq_len, 2, kLongestSequence);
  fields.in_range("batch_size", stage.batch_size, 1, 1 << 16);
  fields.in_range("gradient_accumulation_steps", stage.gradient_accumulation_steps, 1, 1 << 16);
}

void read_rope_and_attention(Fields& fields, Stage& stage) {
  if (fields.has("rope")) stage.rope = read_rope_scaling(fields.child("rope"));
  if (fields.has("attention")) stage.attention = read_attention_pattern(fields.child("attention"));
}

void read_steps(Fields& fields, Stage& stage) {
  stage.steps = 1;
  if (!fields.has("steps")) return fields.required("steps", stage.steps);
  fields.in_range("steps", stage.steps, 1, kMost);
}

Stage read_train(Fields fields, bool has_stages, TrainerOptions& options) {
  Stage stage;
  if (!has_stages) {
    read_steps(fields, stage);
  } else if (fields.has("steps")) {
    fields.error("steps", "there are stages; give steps in each of them instead");
  }
  read_shape(fields, stage);
  fields.in_range("max_grad_norm", options.max_grad_norm, 0, 1e9);
  int64_t seed = 0;
  fields.in_range("seed", seed, 0, std::numeric_limits<int64_t>::max());
  options.seed = static_cast<uint64_t>(seed);
  if (fields.has("recompute")) {
    fields.error("recompute", "is now memory.recompute: none, selective, layer or auto");
  }
  fields.in_range("loss_chunk_tokens", options.loss_chunk_tokens, 1, 1 << 20);
  fields.in_range("threads", options.threads, 0, 1024);
  fields.finish();
  return stage;
}

std::vector<Stage> read_stages(Fields& root, TrainerOptions& options) {
  bool has_stages = root.has("stages");
  Stage base = read_train(root.child("train"), has_stages, options);
  base.attention = make_attention_pattern("full");
  read_rope_and_attention(root, base);
  if (!has_stages) return {base};

  std::vector<Stage> stages;
  for (auto& fields : root.children("stages")) {
    Stage stage = base;
    read_steps(fields, stage);
    read_shape(fields, stage);
    read_rope_and_attention(fields, stage);
    fields.finish();
    stages.push_back(std::move(stage));
  }
  if (stages.empty()) root.error("stages", "expected at least one stage, or no such key");
  return stages;
}

AdamWOptions read_optimizer(Fields fields) {
  AdamWOptions options;
  positive(fields, "lr", options.lr);
  std::vector<double> betas{options.beta1, options.beta2};
  fields.optional("betas", betas);
  bool two = betas.size() == 2;
  if (two && betas[0] >= 0 && betas[0] < 1 && betas[1] >= 0 && betas[1] < 1) {
    options.beta1 = betas[0];
    options.beta2 = betas[1];
  } else {
    fields.error("betas", "expected two numbers from 0 to less than 1, such as [0.9, 0.95]");
  }
  positive(fields, "eps", options.eps);
  fields.in_range("weight_decay", options.weight_decay, 0, 1e6);
  fields.finish();
  return options;
}

LearningRateOptions read_lr_schedule(Fields fields, int64_t steps) {
  LearningRateOptions options;
  fields.choice("type", options.type, learning_rate_types());
  fields.in_range("warmup_steps", options.warmup_steps, 0, kMost);
  if (steps > 0 && options.warmup_steps > steps) {
    fields.error("warmup_steps", fmt::format("{} are more than the {} steps of the run",
                                             options.warmup_steps, steps));
  }
  fields.in_range("min_lr_ratio", options.min_lr_ratio, 0, 1);
  fields.finish();
  return options;
}

ValidationOptions read_validation(Fields fields, bool present) {
  ValidationOptions options;
  if (present) require_text(fields, "path", options.path);
  fields.in_range("every_steps", options.every_steps, 1, kMost);
  fields.in_range("sequences", options.sequences, 1, kMost);
  fields.in_range("seq_len", options.seq_len, 0, kLongestSequence);
  fields.finish();
  return options;
}

CheckpointingOptions read_checkpoint(Fields fields) {
  CheckpointingOptions options;
  fields.in_range("every_steps", options.every_steps, 0, kMost);
  fields.in_range("every_minutes", options.every_minutes, 0, 1e9);
  fields.in_range("keep_last", options.keep_last, 1, kMost);
  fields.finish();
  return options;
}

}  // namespace

Recipe read_recipe(Fields root) {
  Recipe recipe;
  recipe.model = read_model(root.child("model"));
  recipe.data = read_data(root.child("data"));
  recipe.lora = read_lora(root.child("lora"));
  recipe.stages = read_stages(root, recipe.train);
  for (Stage& stage : recipe.stages) {
    stage.on_scaled = parse_on_scaled(recipe.model.on_scaled, "model.on_scaled");
  }
  recipe.train.memory = read_memory_options(root.child("memory"));
  if (recipe.train.memory.weights == FrozenWeights::kMapped &&
      recipe.model.quantization != "none") {
    root.error("memory.weights",
               fmt::format("'mapped' is for weights as their file holds them, and {} "
                           "(model.quantization) is made in memory; expected resident or auto",
                           recipe.model.quantization));
  }
  recipe.train.optimizer = read_optimizer(root.child("optimizer"));
  recipe.train.lr_schedule =
      read_lr_schedule(root.child("lr_schedule"), total_steps(recipe.stages));
  recipe.validation = read_validation(root.child("validation"), root.has("validation"));
  recipe.checkpoint = read_checkpoint(root.child("checkpoint"));
  Fields output = root.child("output");
  output.optional("dir", recipe.output_dir);
  output.finish();
  root.finish();
  return recipe;
}

void read_rope_file(Json& rope, const std::string& key_path, Diagnostics& diagnostics) {
  if (!rope.is_string()) return;
  try {
    rope = read_json_file(rope.get<std::string>(), ExitCode::kRecipe);
  } catch (const Error& e) {
    rope = nullptr;
    diagnostics.error(key_path,
                      fmt::format("{}; expected a map such as {{rope_type: linear, factor: 4.0}}, "
                                  "or the path of a JSON file that holds one",
                                  e.what()));
  }
}

}  // namespace longspan
