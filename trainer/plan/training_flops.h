#pragma once

#include "src/model/model_config.h"
#include "trainer/memory_options.h"
#include "trainer/stage.h"

namespace longspan {

/// Multiplications and additions to read `rows` sequences of seq_len tokens: 2 a
/// weight of each projection and of lm_head, 4 x head_dim a scored query-key pair and head.
double forward_flops(const ModelConfig& config, const AttentionPattern& attention, int64_t seq_len,
                     int64_t rows);

/// One update of a stage, as src/nn/recompute.h and chunked_cross_entropy.h compute it: the
/// backward of a frozen projection is the gradient of its input alone, that of attention two and a
/// half forward passes. Low-rank parts are left out. `trained_projections`: the part of the
/// projections' weights that are trained whole, whose own gradient is another product.
struct StepFlops {
  double linears_forward = 0, linears_recomputed = 0, linears_backward = 0;
  double attention_forward = 0, attention_recomputed = 0, attention_backward = 0;
  double head = 0;  // logits and the gradients of the hidden states, and of the head if it trains

  double total() const {
    return linears_forward + linears_recomputed + linears_backward + attention_forward +
           attention_recomputed + attention_backward + head;
  }
};
StepFlops step_flops(const ModelConfig& config, const Stage& stage, const MemoryOptions& memory,
                     bool trains_head = false, double trained_projections = 0);

}  // namespace longspan
