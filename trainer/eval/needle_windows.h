#pragma once

#include <cstdint>
#include <vector>

#include "data/tokenizers/tokenizer.h"

namespace longspan {

/// Ids to read, of which the last `targets` are scored.
struct TargetWindow {
  std::vector<int64_t> ids;
  int64_t targets = 0;
};

/// What LongRoPE2 measures a RoPE by (arXiv:2502.20082: the loss of needle tokens, which far
/// context alone tells): `needles` windows of each text, each as long as the text. A window is the
/// text's beginning with a key and its value of seven digits hidden at a drawn place, and at the
/// end a question for the value with the answer, whose tokens are the targets. A pure function of
/// its arguments. A text that is too short for needle and question throws Error(kUsage).
std::vector<TargetWindow> needle_windows(const std::vector<std::vector<int64_t>>& texts,
                                         int64_t needles, const Tokenizer& tokenizer,
                                         uint64_t seed);

}  // namespace longspan
