#include "trainer/eval/tasks/window_protocol.h"

#include <algorithm>
#include <stdexcept>

namespace longspan {

namespace {

std::vector<ScoredWindow> chunked_windows(int64_t tokens, int64_t length, int64_t, bool bos) {
  const int64_t own = length - (bos ? 1 : 0), unscored = bos ? 0 : 1;
  std::vector<ScoredWindow> windows;
  for (int64_t begin = 0; begin + unscored < tokens; begin += own) {
    const int64_t end = std::min(begin + own, tokens);
    windows.push_back({begin, end, end - begin - unscored});
  }
  return windows;
}

/// range(0, tokens - length, stride) without its last (eval.py: all_ix.pop()).
std::vector<ScoredWindow> longlora_windows(int64_t tokens, int64_t length, int64_t stride, bool) {
  std::vector<ScoredWindow> windows;
  for (int64_t begin = 0; begin < tokens - length; begin += stride) {
    windows.push_back({begin, begin + length, length - 1});
  }
  if (!windows.empty()) windows.pop_back();
  return windows;
}

/// The tokens behind the last window's end are new, so that each is scored once.
std::vector<ScoredWindow> sliding_windows(int64_t tokens, int64_t length, int64_t stride,
                                          bool bos) {
  const int64_t own = length - (bos ? 1 : 0);
  std::vector<ScoredWindow> windows;
  int64_t scored = bos ? 0 : 1;  // without a BOS nothing predicts the first token
  for (int64_t begin = 0; scored < tokens; begin += stride) {
    const int64_t end = std::min(begin + own, tokens);
    windows.push_back({begin, end, end - scored});
    scored = end;
  }
  return windows;
}

}  // namespace

const std::vector<WindowProtocol>& window_protocols() {
  static const std::vector<WindowProtocol> kProtocols{
      {.name = "chunked",
       .rule =
           "disjoint windows, every token scored once with what is before it in its window, the "
           "first only behind a BOS; mean over tokens",
       .windows = chunked_windows},
      {.name = "longlora",
       .rule = "LongLoRA's eval.py: documents as one text without BOS, windows that move on by "
               "`stride`, the last left out, all positions of each scored; mean over windows",
       .windows = longlora_windows,
       .concatenates = true,
       .takes_bos = false,
       .averages_windows = true},
      {.name = "yarn",
       .rule =
           "YaRN's eval/perplexity.py without truncation: windows that move on by `stride`, the "
           "new tokens of each scored, all of the first; mean of window means",
       .windows = sliding_windows,
       .averages_windows = true},
      {.name = "press",
       .rule = "Press et al.: windows that move on by `stride`, the new tokens of each scored, all "
               "of the first; mean over tokens",
       .windows = sliding_windows},
  };
  return kProtocols;
}

const WindowProtocol& window_protocol(std::string_view name) {
  for (const auto& protocol : window_protocols()) {
    if (protocol.name == name) return protocol;
  }
  throw std::logic_error("window_protocol: no such name");
}

}  // namespace longspan
