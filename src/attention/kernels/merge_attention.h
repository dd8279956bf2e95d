#pragma once

#include "src/attention/kernels/interval_attention.h"

namespace longspan {

/// Attention over the keys of both, which have none in common, from that over each (the online
/// softmax of Milakov and Gimelshein 2018, arXiv 1805.02867): with L = log(exp(La) + exp(Lb)),
/// out = exp(La - L) out_a + exp(Lb - L) out_b. A query that sees nothing in one gets what it has
/// in the other, bit for bit. Differentiable once in all four tensors.
AttentionResult merge(const AttentionResult& a, const AttentionResult& b);

}  // namespace longspan
