#pragma once

#include <cstdint>
#include <random>

namespace longspan {

/// The generator of one purpose's n-th draw; keeps (seed, n) and (n, seed) apart.
std::mt19937_64 generator_of(uint64_t seed, uint64_t n);

/// A number below `bound`, all equally likely. The standard library's own distributions differ
/// between implementations.
uint64_t draw_below(uint64_t bound, std::mt19937_64& generator);

}  // namespace longspan
