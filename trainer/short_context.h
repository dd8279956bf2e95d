#pragma once

#include <cstdint>
#include <vector>

namespace longspan {

constexpr int64_t kLongestShortContext = int64_t{1} << 26;

/// How a text is read with a short context: in windows that begin `step` places apart. A place of a
/// row is a token and the prediction of the next one.
struct ShortContext {
  int64_t tokens = 4096;  // of the first place that a window predicts, itself included
  int64_t step = 1024;    // places that a window predicts; the last has step - 1 tokens more
};

/// Reads the places [begin, end) of a document and predicts from [first, end).
struct ShortWindow {
  int64_t begin = 0, first = 0, end = 0;
};

/// The windows of a document of so many places, in which each place from tokens + step - 1 on is
/// predicted once. A window from place 0 on would have all the context that there is.
std::vector<ShortWindow> short_windows(int64_t places, const ShortContext& context);

}  // namespace longspan
