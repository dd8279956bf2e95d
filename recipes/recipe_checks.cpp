#include "recipes/recipe_checks.h"

namespace longspan {

namespace {

void check_memory(const Recipe& recipe, Fields& root) {
  const bool mapped = recipe.train.memory.weights == FrozenWeights::kMapped;
  if (!mapped || recipe.model.quantization == "none") return;
  root.error("memory.weights",
             fmt::format("'mapped' is for weights as their file holds them, and {} "
                         "(model.quantization) is made in memory; expected resident or auto",
                         recipe.model.quantization));
}

/// What is of frozen weights or of LoRA's factors, of which `lora: none` has none.
void check_full_fine_tuning(const Recipe& recipe, Fields& root) {
  if (!recipe.lora.none) return;
  if (recipe.model.quantization != "none") {
    root.error(
        "model.quantization",
        fmt::format("'{}' is for frozen weights, and lora: none trains all of them; expected "
                    "none, or a map of lora",
                    recipe.model.quantization));
  }
  if (recipe.train.memory.weights == FrozenWeights::kMapped) {
    root.error(
        "memory.weights",
        "'mapped' is for frozen weights, and lora: none trains all of them; expected resident "
        "or auto, or a map of lora");
  }
  if (recipe.train.optimizer.lora_plus_ratio != 1) {
    root.error("optimizer.lora_plus_ratio",
               "is for LoRA's B, and lora: none has none; leave it out, and give norms a learning "
               "rate of their own by optimizer.groups");
  }
}

void check_loss(const Recipe& recipe, Fields& root) {
  const LossOptions& loss = recipe.train.loss;
  if (loss.uniform()) return;
  const ShortContext& context = loss.short_context;
  bool is_long = false;
  for (const Stage& stage : recipe.stages) {
    is_long |= stage.seq_len >= context.tokens + context.step;
    if (stage.attention->passage_rows() == 0) continue;
    return root.error("loss.weights",
                      fmt::format("'{}' weighs by the context within a row, and with {} a row is a "
                                  "window that others precede; expected uniform",
                                  loss.weights, stage.attention->name()));
  }
  if (is_long || !loss.long_minus_short()) return;
  root.error(
      "loss.short_context",
      fmt::format("{} and a short_step of {} are all the context that any stage's rows have, "
                  "so that all tokens weigh 1; lower them, or leave loss.weights out",
                  context.tokens, context.step));
}

void check_packing(const Recipe& recipe, Fields& root) {
  if (!recipe.packing.skips() || recipe.packing.target_length == 0) return;
  for (const Stage& stage : recipe.stages) {
    if (stage.seq_len < recipe.packing.target_length) return;
  }
  root.error(
      "packing.target_length",
      fmt::format("{} leaves nothing to skip: every stage has rows of so many tokens or more; "
                  "lower seq_len, or leave packing out",
                  recipe.packing.target_length));
}

void check_attention(const Recipe& recipe, bool has_stages, Fields& root) {
  for (size_t i = 0; i < recipe.stages.size(); ++i) {
    const Stage& stage = recipe.stages[i];
    std::string misfit = stage.attention->misfit_of_batch(stage.batch_size, stage.seq_len);
    if (misfit.empty() && stage.attention->passage_rows() > 0 && recipe.packing.skips()) {
      misfit = "its positions end with the window, and packing.positions is skip; leave that out";
    }
    if (misfit.empty()) continue;
    root.error(has_stages ? fmt::format("stages.{}.attention", i) : "attention", misfit);
  }
}

void check_interleave(const Recipe& recipe, Fields& root) {
  if (!recipe.train.interleave) return;
  if (recipe.stages.size() < 2) {
    return root.error("train.interleave",
                      "is for two stages or more; give stages, or leave it out");
  }
  const auto rope_of = [](const Stage& stage) {
    return stage.rope ? write_rope_scaling(*stage.rope) : Json();
  };
  for (size_t i = 0; i < recipe.stages.size(); ++i) {
    const Stage& stage = recipe.stages[i];
    if (rope_of(stage) != rope_of(recipe.stages.front())) {
      root.error(
          fmt::format("stages.{}.rope", i),
          "is another than that of stage 0, and stages that take turns leave one model; give "
          "rope once, beside stages (a longrope has a RoPE for short rows of its own)");
    }
    if (stage.attention->belongs_to_model()) {
      root.error(fmt::format("stages.{}.attention", i),
                 fmt::format("{} belongs to the model, which stages that take turns share; take "
                             "another, or leave train.interleave out",
                             stage.attention->name()));
    }
  }
}

void check_warmup(const Recipe& recipe, Fields& root) {
  const int64_t steps = total_steps(recipe.stages);
  const int64_t warmup = recipe.train.lr_schedule.warmup_steps;
  if (steps == 0 || warmup <= steps) return;
  root.error("lr_schedule.warmup_steps",
             fmt::format("{} are more than the {} steps of the run; lower it, or give more steps",
                         warmup, steps));
}

}  // namespace

void check_maps_together(const Recipe& recipe, bool has_stages, Fields& root) {
  check_memory(recipe, root);
  check_full_fine_tuning(recipe, root);
  check_loss(recipe, root);
  check_packing(recipe, root);
  check_attention(recipe, has_stages, root);
  check_interleave(recipe, root);
  check_warmup(recipe, root);
}

}  // namespace longspan
