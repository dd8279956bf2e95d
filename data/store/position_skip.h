#pragma once

#include <cstdint>
#include <random>
#include <vector>

namespace longspan {

/// Positions of `places` tokens of one document as in training on a text of `target_length` tokens
/// (PoSE, arXiv:2309.10400, with two chunks): 0, 1, ... up to a place drawn alike from all, then on
/// from a position drawn alike from all that leave the last below target_length. The tokens
/// themselves follow each other. Consecutive where places >= target_length.
std::vector<int64_t> skipped_positions(int64_t places, int64_t target_length,
                                       std::mt19937_64& generator);

}  // namespace longspan
