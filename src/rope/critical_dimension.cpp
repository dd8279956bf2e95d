#include "src/rope/critical_dimension.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace longspan {

int64_t critical_pair(const RopeGeometry& geometry, double turns) {
  const double tokens = static_cast<double>(geometry.max_position_embeddings);
  const double pairs = static_cast<double>(geometry.head_dim / 2);
  const double pair =
      pairs * std::log(tokens / (2 * std::numbers::pi * turns)) / std::log(geometry.rope_theta);
  return static_cast<int64_t>(std::clamp(std::ceil(pair), 0.0, pairs - 1));
}

void scale_before(int64_t pair, std::vector<double>& rescale_factors) {
  const double factor = rescale_factors[static_cast<size_t>(pair)];
  for (int64_t i = 0; i < pair; ++i) {
    const double power = static_cast<double>(i) / static_cast<double>(pair);
    rescale_factors[static_cast<size_t>(i)] = std::pow(factor, power);
  }
}

}  // namespace longspan
