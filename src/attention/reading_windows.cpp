#include "src/attention/reading_windows.h"

#include <algorithm>

namespace longspan {

WindowLengths WindowLengths::fitted() const {
  return {window, last_context <= window ? last_context : std::max<int64_t>(1, window / 2)};
}

std::vector<ReadingWindows::Cut> ReadingWindows::cuts() const {
  const int64_t before_last = std::max(at_once_begin_, at_once_end_ - lengths_.last_context);
  const bool was_open = at_once_open_ < at_once_begin_;
  std::vector<Cut> made;
  int64_t window_begin = at_once_open_;
  for (int64_t begin = at_once_begin_; begin < at_once_end_;) {
    const int64_t most = begin < before_last ? before_last : at_once_end_;
    const int64_t end = std::min(begin + lengths_.window, most);
    if (!was_open || end - window_begin > lengths_.window) window_begin = begin;
    made.push_back({begin, end, window_begin});
    begin = end;
  }
  return made;
}

std::vector<int64_t> ReadingWindows::read(int64_t tokens, int64_t sequence_length) {
  const int64_t end = length_ + tokens;
  if (length_ >= at_once_end_ || end > at_once_end_) {
    at_once_begin_ = length_;
    at_once_end_ = std::max(end, sequence_length);
    at_once_open_ = open_begin_;
  }
  std::vector<int64_t> begins;
  begins.reserve(static_cast<size_t>(tokens));
  for (const Cut& cut : cuts()) {
    const int64_t first = std::max(cut.begin, length_), last = std::min(cut.end, end);
    if (first < last)
      begins.insert(begins.end(), static_cast<size_t>(last - first), cut.window_begin);
  }
  if (!begins.empty()) open_begin_ = begins.back();
  length_ = end;
  return begins;
}

}  // namespace longspan
