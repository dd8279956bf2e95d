#pragma once

#include <cstdint>
#include <string>

#include "src/model/model_config.h"
#include "src/nn/lora_linear.h"

namespace longspan {

/// How many numbers a model has and how many of them are trained, by kind.
struct ParameterCount {
  int64_t base = 0;  // without LoRA
  int64_t lora = 0, norm = 0, embedding = 0, other = 0;

  /// How many parameters of the base model are trained (modules_to_save).
  int64_t saved() const { return norm + embedding + other; }
  int64_t trainable() const { return lora + saved(); }
  /// "1,234,567 of 134,515,008 (lora 1,200,000, norm 34,567)".
  std::string to_string() const;
};

/// What apply_lora would train in a model of this shape; needs no weights.
ParameterCount count_parameters(const ModelConfig& config, const LoraOptions& lora);

}  // namespace longspan
