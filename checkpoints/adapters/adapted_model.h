#pragma once

#include <memory>

#include "checkpoints/adapters/peft_adapter.h"
#include "checkpoints/hf/hf_importer.h"

namespace longspan {

/// The base's config with what the adapter changes: RoPE, max_position_embeddings, vocab_size when
/// it saves more embeddings, and tie_word_embeddings when it unties lm_head.
ModelConfig adapted_config(const ModelSource& base, const PeftAdapter& adapter);

/// Base + adapter in memory, ready to run or to train further: LoRA on the projections apart from
/// their weights, all else merged. Of a whole model it is that, ready to run. Tensors that fit
/// nowhere throw Error(kModel).
std::unique_ptr<CausalLm> import_adapted_model(const ModelSource& base, const PeftAdapter& adapter,
                                               const ImportOptions& options);

}  // namespace longspan
