#pragma once

#include <cstdint>
#include <vector>

#include "src/rope/rope_scaling.h"

namespace longspan {

/// The critical dimension of LongRoPE2 (Shang et al. 2025, arXiv 2502.20082, equation 7) as a pair
/// of dimensions: the first that turns no more than `turns` times within max_position_embeddings
/// tokens, ceil(head_dim / 2 x log_theta(tokens / (2 pi turns))); at least 0, at most the last
/// pair. With one turn it is the theoretical one, from which on longer texts have angles that the
/// model does not know. The real one lies before it, since angles that are rare were trained
/// little.
int64_t critical_pair(const RopeGeometry& geometry, double turns = 1);

/// Gives the pairs before `pair` the factors of NTK scaling by the base under which `pair` has its
/// own (algorithm 2, lines 7 and 8): rescale_factors[pair]^(i / pair).
void scale_before(int64_t pair, std::vector<double>& rescale_factors);

}  // namespace longspan
