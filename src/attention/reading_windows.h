#pragma once

#include <cstdint>
#include <vector>

namespace longspan {

/// How long the windows are in which a text is read.
struct WindowLengths {
  int64_t window = 2048;        // tokens that a window holds at most
  int64_t last_context = 1024;  // of what is read at once, the tokens of its last window

  /// The same, where the last would be longer than a window with half of one.
  WindowLengths fitted() const;
};

/// Cuts a text into windows as LongLLaMA does (Tworkowski et al. 2023, arXiv 2307.03170;
/// `_handle_long_input` of its code): what is read at once is cut from its beginning, but for its
/// last tokens, which stay together. Where a window is open, what follows goes on in it as long as
/// it has room for all of the next cut. A value: pass after pass gives the next.
class ReadingWindows {
 public:
  explicit ReadingWindows(const WindowLengths& lengths) : lengths_(lengths) {}
  /// After `length` tokens, all that was to be read at once; a window is open from `open_begin` on.
  ReadingWindows(const WindowLengths& lengths, int64_t length, int64_t open_begin)
      : lengths_(lengths), length_(length), open_begin_(open_begin) {}

  int64_t length() const { return length_; }          // tokens read
  int64_t open_begin() const { return open_begin_; }  // the first of the window still open
  /// Goes on by `tokens` of a sequence of `sequence_length`, which tells where what is read at once
  /// ends. -> where the window of each of them begins, never decreasing.
  std::vector<int64_t> read(int64_t tokens, int64_t sequence_length);

 private:
  struct Cut {
    int64_t begin = 0, end = 0, window_begin = 0;
  };
  std::vector<Cut> cuts() const;

  WindowLengths lengths_;
  int64_t length_ = 0, open_begin_ = 0;
  int64_t at_once_begin_ = 0, at_once_end_ = 0;  // what is being read at once
  int64_t at_once_open_ = 0;                     // the window that was open before it began
};

}  // namespace longspan
