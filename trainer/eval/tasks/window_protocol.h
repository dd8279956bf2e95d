#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace longspan {

/// One pass over tokens [begin, end) of a text, a BOS before them where the protocol has one. The
/// last `targets` of them are scored.
struct ScoredWindow {
  int64_t begin = 0, end = 0, targets = 0;

  bool operator==(const ScoredWindow&) const = default;
};

/// A published way to cut a text of `tokens` tokens into windows of `length`, BOS included if there
/// is `bos`, that move on by `stride`.
struct WindowProtocol {
  std::string_view name, rule;
  std::vector<ScoredWindow> (*windows)(int64_t tokens, int64_t length, int64_t stride, bool bos);
  bool concatenates = false;  // the documents are one text
  bool takes_bos = true;
  bool averages_windows = false;  // the mean of the windows' means, not of all scored tokens
};

/// chunked: disjoint windows, each token scored once, the first of a window only behind a BOS
/// (lm-evaluation-harness' rolling windows without shared context). longlora: LongLoRA's eval.py,
/// all positions of windows that overlap. yarn: YaRN's eval/perplexity.py, the new tokens of each
/// window, the mean of window means. press: Press et al. (arXiv 2108.12409), the new tokens of each
/// window, the mean of tokens.
const std::vector<WindowProtocol>& window_protocols();
/// One of these names.
const WindowProtocol& window_protocol(std::string_view name);

}  // namespace longspan
