#include "trainer/memory_estimate.h"

#include <algorithm>

#include "src/core/error.h"
#include "src/core/text.h"
#include "trainer/parameter_count.h"

namespace longspan {

MemoryEstimate estimate_memory(const ModelConfig& config, const LoraOptions& lora,
                               const std::vector<Stage>& stages, const TrainerOptions& options,
                               int64_t dtype_bytes) {
  ParameterCount parameters = count_parameters(config, lora);
  int64_t rows = 0;  // tokens of the largest pass
  for (const auto& stage : stages) rows = std::max(rows, stage.batch_size * stage.seq_len);

  int64_t hidden = config.hidden_size;
  int64_t heads = (config.num_attention_heads + 2 * config.num_key_value_heads) * config.head_dim;
  // Kept in one layer for its backward: two norms with float32 copies, q k v before and after
  // rotation, attention, the three of the MLP; and as much again for gradients under way.
  int64_t layer = rows * (6 * hidden + 3 * heads + 4 * config.intermediate_size) * dtype_bytes * 2;

  MemoryEstimate estimate;
  estimate.weights = (parameters.base + parameters.lora) * dtype_bytes;
  estimate.trainable = parameters.trainable() * (16 + dtype_bytes);
  estimate.layer_inputs = config.num_hidden_layers * rows * hidden * dtype_bytes;
  estimate.activations = layer * (options.recompute ? 1 : config.num_hidden_layers);
  // float32 logits and their gradient, and both once more in the model's dtype.
  estimate.loss =
      std::min(options.loss_chunk_tokens, rows) * config.vocab_size * (4 + 4 + 2 * dtype_bytes) +
      2 * rows * hidden * dtype_bytes;
  estimate.program = int64_t{300} << 20;
  return estimate;
}

std::string MemoryEstimate::to_string() const {
  const auto shown = [](int64_t bytes) { return human_bytes(static_cast<double>(bytes)); };
  return fmt::format(
      "{} (weights {}, trained {}, layer inputs {}, activations {}, loss {}, program "
      "{})",
      shown(total()), shown(weights), shown(trainable), shown(layer_inputs), shown(activations),
      shown(loss), shown(program));
}

void require_memory(const MemoryEstimate& estimate, int64_t available) {
  if (available <= 0 || estimate.total() <= available) return;
  int64_t sequence = estimate.layer_inputs + estimate.activations;
  std::string knob = sequence > estimate.trainable && sequence > estimate.weights
                         ? "lower batch_size or seq_len, or set train.recompute: true"
                     : estimate.trainable > estimate.weights
                         ? "train less: lora.r, lora.target_modules, lora.modules_to_save"
                         : "take a smaller model or model.dtype: bfloat16";
  if (estimate.loss > sequence) knob = "lower train.loss_chunk_tokens";
  fail(ExitCode::kOutOfMemory, "training needs about {}; {} are available; {}",
       estimate.to_string(), human_bytes(static_cast<double>(available)), knob);
}

}  // namespace longspan
