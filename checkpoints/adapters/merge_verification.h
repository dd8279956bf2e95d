#pragma once

#include "checkpoints/adapters/peft_adapter.h"

namespace longspan {

/// What verify_merge found, for the log and the model card.
struct MergeVerification {
  int64_t adapted = 0, saved = 0, copied = 0;  // tensors
  int64_t adapted_values = 0;
  int64_t moved_values = 0;  // of these, how many differ from the base in the dtype written
};

/// Reads a merged model back, tensor by tensor, and compares every value with this file's own
/// computation from base and adapter, which shares nothing with merged_source: W + scale B A (and
/// DoRA's norms) in float64, with the scale that r and lora_alpha give. A value may differ from the
/// rounded result only where the exact one lies so near the middle of two that float32 arithmetic
/// decides; saved modules, copied tensors, names and config.json must be equal. So a lost or
/// doubled adapter, a wrong scale, exchanged layers or factors, a lost saved module, a damaged
/// file: each throws Error(kModel) naming the tensors. A few rows at a time are in memory.
MergeVerification verify_merge(const ModelSource& base, const PeftAdapter& adapter,
                               const ModelSource& written);

}  // namespace longspan
