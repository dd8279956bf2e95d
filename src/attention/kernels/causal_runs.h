#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <vector>

namespace longspan {

// What is alike among the intervals of keys that end at their query: begin [B, H, Tq] int32, as in
// VisibleKeys. LibTorch's kernels take whole causal triangles and bands of one width, and no
// intervals.

/// Heads that see the same keys, from `begin` to before `end`.
struct HeadRange {
  int64_t begin = 0, end = 0;

  int64_t size() const { return end - begin; }
};

/// Runs of tokens that are equally long, one behind the other.
struct Runs {
  int64_t begin = 0, length = 0, count = 1;

  int64_t end() const { return begin + length * count; }
};

/// Neighbouring query heads of one sequence that see the same.
struct AlikeHeads {
  int64_t batch = 0;
  HeadRange heads;
  std::vector<Runs> runs;  // within which attention is causal, and which see nothing else
};

/// All query heads of as many queries as keys, in the order of memory; nothing where the intervals
/// of one are no runs.
std::vector<AlikeHeads> alike_heads(const at::Tensor& begin);

/// W where each query sees the last W of the keys up to its own, or all of them where there are
/// fewer: `keys` where it always sees all. Nothing where it sees something else.
std::optional<int64_t> causal_window(const at::Tensor& begin, int64_t keys);

/// Both of the same intervals.
struct CausalShape {
  std::optional<int64_t> window;
  std::vector<AlikeHeads> heads;  // empty where queries are not as many as keys
};
/// The thread's last answer is kept: the layers of a model ask for the same one after another.
/// Holds until the thread's next call.
const CausalShape& causal_shape(const at::Tensor& begin, int64_t keys);

}  // namespace longspan
