#pragma once

#include <cstdint>
#include <random>

namespace longspan {

// The distributions of <random> differ between standard libraries; these do not.

/// The generator of one purpose's n-th draw; keeps (seed, n) and (n, seed) apart.
std::mt19937_64 generator_of(uint64_t seed, uint64_t n);

/// In [0, 1).
double draw_uniform(std::mt19937_64& generator);

/// Below `bound`, all equally likely.
uint64_t draw_below(uint64_t bound, std::mt19937_64& generator);

}  // namespace longspan
