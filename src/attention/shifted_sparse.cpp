#include "src/attention/shifted_sparse.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/maximum.h>

#include <algorithm>
#include <stdexcept>

#include "src/attention/kernels/interval_attention.h"
#include "src/attention/key_starts.h"

namespace longspan {

namespace {

/// The first token of the group of each token, [T] int32, when groups begin at `shift` (and one
/// more, of the tokens before it, at 0).
at::Tensor group_starts(int64_t seq_len, int64_t group, int64_t shift) {
  at::Tensor position = at::arange(seq_len, at::kInt);
  at::Tensor starts = (position - shift).div(group, "floor").mul_(group).add_(shift);
  return starts.clamp_min_(0);
}

/// The first ones; of an odd number one more is shifted.
int64_t unshifted_heads(int64_t num_heads) { return num_heads / 2; }

int64_t pairs_within_groups(int64_t seq_len, int64_t group, int64_t first) {
  int64_t pairs = 0;
  for (int64_t begin = 0, size = first; begin < seq_len; begin += size, size = group) {
    int64_t tokens = std::min(size, seq_len - begin);
    pairs += tokens * (tokens + 1) / 2;
  }
  return pairs;
}

}  // namespace

void ShiftedSparseAttention::fields(FieldsIo& io) {
  const bool both = io.given("group_size") && io.given("group_ratio");
  io.whole("group_size", group_size_, {0, int64_t{1} << 30},
           "tokens of a group, from 2; instead of `group_ratio`",
           {.otherwise = "by `group_ratio`", .written = group_size_ > 0});
  if (group_size_ == 1) io.error("group_size", "1 leaves no half to shift by; expected 2 or more");
  io.number("group_ratio", group_ratio_, {1e-6, 1.0}, "a group as a part of the sequence",
            {.written = group_size_ == 0});
  if (both) io.error("group_ratio", "group_size is given too; leave one of them out");
}

int64_t ShiftedSparseAttention::group_size(int64_t seq_len) const {
  if (group_size_ > 0) return group_size_;
  return std::max<int64_t>(2, static_cast<int64_t>(group_ratio_ * static_cast<double>(seq_len)));
}

at::Tensor ShiftedSparseAttention::attend(const Heads& heads,
                                          const AttentionContext& context) const {
  if (context.state) {
    throw std::logic_error("shifted_sparse attention keeps no state between passes");
  }
  int64_t rows = heads.q.size(0), num_heads = heads.q.size(1), seq_len = heads.q.size(2);
  int64_t group = group_size(seq_len), unshifted = unshifted_heads(num_heads);
  at::Tensor visible = key_starts(context, rows, seq_len);  // [B, T]
  auto starts_of = [&](int64_t shift, int64_t count) {
    return at::maximum(group_starts(seq_len, group, shift), visible)
        .unsqueeze(1)
        .expand({rows, count, seq_len});
  };
  at::Tensor key_start =
      at::cat({starts_of(0, unshifted), starts_of(group / 2, num_heads - unshifted)}, 1);
  return interval_attention(context.rotary.rotate(heads.q), context.rotary.rotate(heads.k), heads.v,
                            {key_start.contiguous()}, context.kept);
}

int64_t ShiftedSparseAttention::scored_pairs(int64_t seq_len, int64_t num_heads) const {
  int64_t group = group_size(seq_len), unshifted = unshifted_heads(num_heads);
  return unshifted * pairs_within_groups(seq_len, group, group) +
         (num_heads - unshifted) *
             pairs_within_groups(seq_len, group, std::max<int64_t>(1, group / 2));
}

}  // namespace longspan
