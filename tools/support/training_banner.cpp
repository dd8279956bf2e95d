#include "tools/support/training_banner.h"

#include <set>
#include <string>

#include "src/core/log.h"
#include "src/core/text.h"
#include "trainer/plan/parameter_count.h"
#include "trainer/plan/plan_report.h"
#include "trainer/plan/training_flops.h"

namespace longspan {

namespace {

std::string describe_rope(const RopeExtension& rope) {
  return fmt::format("{} x{}, {} positions", rope.scaling->rope_type(), rope.scaling->factor(),
                     human_count(rope.context_length));
}

double epochs(const Stage& stage, const PackingReport& packing) {
  return static_cast<double>(stage.steps * stage.rows_per_step()) /
         static_cast<double>(packing.sequences);
}

void warn_of_repeated_rows(const Stage& stage, const PackingReport& packing) {
  if (stage.rows_per_step() <= packing.sequences) return;
  log_warning(
      "a step takes {} rows of {} tokens, and the store has {}: each is repeated {:.1f} "
      "times in it; lower batch_size or gradient_accumulation_steps, or prepare more "
      "text",
      human_count(stage.rows_per_step()), human_count(stage.seq_len),
      human_count(packing.sequences),
      static_cast<double>(stage.rows_per_step()) / static_cast<double>(packing.sequences));
}

}  // namespace

void show_training_banner(const Recipe& recipe, const TrainingInputs& inputs, at::Device device,
                          const Plan& plan) {
  const ModelConfig& config = inputs.config;
  log_info("model    {} ({}, {} layers, hidden_size {}, {})", recipe.model.path, config.model_type,
           config.num_hidden_layers, config.hidden_size, recipe.model.dtype);
  log_info("trained  {}", count_parameters(config, recipe.lora).to_string());
  log_info("RoPE     before: {}", describe_rope(extend_rope(config, nullptr)));
  std::set<std::string> shown;
  const auto show_store = [&](const TokenStore& store) {
    if (!shown.insert(store.path()).second) return;
    log_info("data     {}: {} documents, {} tokens", store.path(),
             human_count(store.info().documents), human_count(store.info().tokens));
  };
  show_store(*inputs.store);
  for (const auto& store : inputs.stores) show_store(*store);
  int64_t first = 1;
  for (size_t i = 0; i < recipe.stages.size(); ++i) {
    const Stage& stage = recipe.stages[i];
    const PackingReport& packing = inputs.loaders[i]->report();
    log_info(
        "stage {}  {}: seq_len {}, attention {}, RoPE {}; {} tokens a step ({} x {} "
        "rows), {:.1f} TFLOP; {} sequences, {:.2f} epochs of them, {} of them one passage, {} "
        "tokens of padding; left out: {} documents, {} tokens in all",
        i,
        recipe.train.interleave ? fmt::format("{} steps in turn", stage.steps)
                                : fmt::format("steps {}-{}", first, first + stage.steps - 1),
        human_count(stage.seq_len),
        stage.attention->describe(config.num_hidden_layers, config.num_attention_heads),
        describe_rope(extend_rope(config, stage.rope, stage.on_scaled)),
        human_count(stage.tokens_per_step()), stage.gradient_accumulation_steps, stage.batch_size,
        step_flops(config, stage, plan.memory, recipe.lora.none, recipe.lora.none ? 1 : 0).total() /
            1e12,
        human_count(packing.sequences), epochs(stage, packing), human_count(packing.full_passages),
        human_count(packing.padding_tokens), human_count(packing.dropped_documents),
        human_count(packing.dropped_tokens));
    warn_of_repeated_rows(stage, packing);
    first += stage.steps;
  }
  log_info("device   {}", device.str());
  log_info("memory   about {}; {}", describe_peak(plan.peak()), describe_memory(plan));
  log_info("output   {}", recipe.output_dir);
}

}  // namespace longspan
