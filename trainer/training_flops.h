#pragma once

#include "src/model/model_config.h"
#include "trainer/stage.h"

namespace longspan {

/// Multiplications and additions of a forward pass over `rows` sequences of seq_len tokens: 2 a
/// weight of each projection and of lm_head, 4 x head_dim a scored query-key pair and head.
double forward_flops(const ModelConfig& config, const AttentionPattern& attention, int64_t seq_len,
                     int64_t rows);

/// One update of a stage with frozen projections: the forward pass, the same again where
/// activations are recomputed, and a backward pass of one (projections: gradients of their inputs
/// only) to two and a half (attention) forward ones, counted as one. Good for ratios and rough
/// times.
double step_flops(const ModelConfig& config, const Stage& stage, bool recompute);

}  // namespace longspan
