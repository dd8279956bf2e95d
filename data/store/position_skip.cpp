#include "data/store/position_skip.h"

#include <algorithm>
#include <numeric>

#include "src/core/random.h"

namespace longspan {

std::vector<int64_t> skipped_positions(int64_t places, int64_t target_length,
                                       std::mt19937_64& generator) {
  std::vector<int64_t> positions(static_cast<size_t>(places));
  std::iota(positions.begin(), positions.end(), int64_t{0});
  if (places < 2 || places >= target_length) return positions;
  const auto first =
      1 + draw_below(static_cast<uint64_t>(places - 1), generator);  // chunk's tokens
  const auto skip = draw_below(static_cast<uint64_t>(target_length - places + 1), generator);
  std::for_each(positions.begin() + static_cast<int64_t>(first), positions.end(),
                [&](int64_t& position) { position += static_cast<int64_t>(skip); });
  return positions;
}

}  // namespace longspan
