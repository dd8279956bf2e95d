#pragma once

#include "src/model/model_config.h"

namespace longspan {

class AttentionPattern;

/// Multiplications and additions to read `tokens` tokens and choose the next one: forward_flops
/// (trainer/plan/training_flops.h) with lm_head for the last token alone.
double reading_flops(const ModelConfig& config, const AttentionPattern& attention, int64_t tokens);

/// Of the keys and values that all layers keep of `tokens` tokens, `bits` a number.
int64_t key_value_bytes(const ModelConfig& config, const AttentionPattern& attention,
                        int64_t tokens, double bits);

}  // namespace longspan
