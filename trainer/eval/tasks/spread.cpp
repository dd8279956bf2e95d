#include "trainer/eval/tasks/spread.h"

#include <algorithm>
#include <cmath>

namespace longspan {

std::vector<size_t> spread_places(size_t count, double share) {
  const double wanted = std::round(std::min(1.0, share) * static_cast<double>(count));
  const auto kept = std::min(count, static_cast<size_t>(std::max(1.0, wanted)));
  std::vector<size_t> places;
  for (size_t i = 0; i < kept; ++i) places.push_back(i * count / kept);
  return places;
}

std::vector<size_t> spread_parts(size_t parts, size_t count, double share) {
  const auto kept = static_cast<double>(spread_places(count, share).size());
  return spread_places(parts, share * static_cast<double>(count) / kept);
}

}  // namespace longspan
