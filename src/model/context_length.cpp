#include "src/model/context_length.h"

#include <algorithm>
#include <cmath>

#include "src/core/error.h"

namespace longspan {

namespace {

int64_t scaled(int64_t length, const RopeScaling& scaling) {
  return std::llround(static_cast<double>(length) * scaling.factor());
}

/// The length before scaling where a key states it, or the formula leaves no other.
std::optional<int64_t> stated_original(const ModelConfig& config) {
  const RopeScaling& scaling = *config.rope_scaling;
  if (scaling.original_max_position_embeddings() > 0) {
    return scaling.original_max_position_embeddings();
  }
  if (config.original_max_position_embeddings) return config.original_max_position_embeddings;
  // It measures against max_position_embeddings.
  if (scaling.rope_type() == "dynamic") return config.max_position_embeddings;
  return std::nullopt;
}

}  // namespace

ContextLength context_length(const ModelConfig& config) {
  const RopeScaling& scaling = *config.rope_scaling;
  const int64_t stated = config.max_position_embeddings;
  if (auto original = stated_original(config)) {
    // Its factor is that of the frequencies alone: Llama 3.1 and 3.2 state twice and half of it.
    if (scaling.rope_type() == "llama3" && stated > *original) return {*original, stated};
    return {*original, std::max(stated, scaled(*original, scaling))};
  }
  return {std::llround(static_cast<double>(stated) / scaling.factor()), stated};
}

std::optional<ContextLength> other_context_length(const ModelConfig& config) {
  const RopeScaling& scaling = *config.rope_scaling;
  const bool open = scaling.rope_type() == "linear" && scaling.factor() > 1;
  if (!open || stated_original(config)) return std::nullopt;
  return ContextLength{config.max_position_embeddings,
                       scaled(config.max_position_embeddings, scaling)};
}

std::string ask_for_original_length(const ModelConfig& config, const ContextLength& other) {
  const ContextLength taken = context_length(config);
  return fmt::format(
      "max_position_embeddings {0} beside RoPE {1} x{2:.6g} may be the extended length (original "
      "{3}, extended {0}) or the original one (extended {4}); say which in the model's "
      "config.json: \"original_max_position_embeddings\": {3} or {0}",
      config.max_position_embeddings, config.rope_scaling->rope_type(),
      config.rope_scaling->factor(), taken.original, other.usable);
}

}  // namespace longspan
