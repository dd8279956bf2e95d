#include "trainer/short_context.h"

#include <algorithm>

namespace longspan {

std::vector<ShortWindow> short_windows(int64_t places, const ShortContext& context) {
  std::vector<ShortWindow> windows;
  for (int64_t begin = context.step; begin + context.tokens - 1 < places; begin += context.step) {
    const int64_t first = begin + context.tokens - 1;
    windows.push_back({begin, first, std::min(first + context.step, places)});
  }
  return windows;
}

}  // namespace longspan
