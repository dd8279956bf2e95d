#include "src/attention/kernels/sdpa_flash.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/_scaled_dot_product_flash_attention_for_cpu.h>
#include <ATen/ops/_scaled_dot_product_flash_attention_for_cpu_backward.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros_like.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "src/attention/kernels/causal_runs.h"
#include "src/attention/kernels/cuda_flash.h"
#include "src/attention/kernels/packed_runs.h"
#include "src/core/processor.h"
#include "src/simd/operators.h"

namespace longspan {
namespace {

/// Plain causal attention within each of these runs: of query heads that share whole key/value
/// heads, or are a part of those of one.
struct Piece {
  int64_t batch = 0;
  HeadRange heads, key_heads;
  Runs runs;

  /// Of x [B, H, T, D] or [B, H, T] the part that this piece is about, its runs as a batch.
  at::Tensor queries(const at::Tensor& x) const { return part(x, heads); }
  at::Tensor keys(const at::Tensor& x) const { return part(x, key_heads); }
  /// As the kernel for the CPU wants them: one for each query head, of which none is a copy.
  at::Tensor keys_of_each(const at::Tensor& x) const {
    const at::Tensor shared = keys(x);
    return key_heads.size() == heads.size() ? shared : shared.expand({-1, heads.size(), -1, -1});
  }
  /// And the sum of their gradients, of the shape of keys().
  at::Tensor sum_of_each(const at::Tensor& grad) const {
    return key_heads.size() == heads.size() ? grad : grad.sum(1, /*keepdim=*/true);
  }

 private:
  at::Tensor part(const at::Tensor& x, HeadRange of) const {
    return x[batch]
        .narrow(0, of.begin, of.size())
        .slice(1, runs.begin, runs.end())
        .unflatten(1, {runs.count, runs.length})
        .transpose(0, 1);
  }
};

/// The query heads that the kernel takes at once, and their key/value heads: all where they share
/// whole sets and it may have such, else those of one key/value head.
std::vector<std::pair<HeadRange, HeadRange>> head_sets(HeadRange heads, int64_t sharers,
                                                       bool takes_sets) {
  const bool whole = heads.begin % sharers == 0 && heads.end % sharers == 0;
  if (whole && (takes_sets || sharers == 1)) {
    return {{heads, {heads.begin / sharers, heads.end / sharers}}};
  }
  std::vector<std::pair<HeadRange, HeadRange>> sets;
  for (int64_t begin = heads.begin; begin < heads.end;) {
    const int64_t key_head = begin / sharers;
    const int64_t end = std::min(heads.end, (key_head + 1) * sharers);
    sets.push_back({{begin, end}, {key_head, key_head + 1}});
    begin = end;
  }
  return sets;
}

const std::vector<AlikeHeads>& heads_in_runs(const at::Tensor& begin, const at::Tensor& k) {
  const std::vector<AlikeHeads>& all = causal_shape(begin, k.size(2)).heads;
  TORCH_CHECK(!all.empty(),
              "interval_attention: LibTorch's flash attention takes only intervals that begin at "
              "their own query");
  return all;
}

std::vector<Piece> pieces_of(const std::vector<AlikeHeads>& all, int64_t sharers, bool takes_sets) {
  std::vector<Piece> pieces;
  for (const auto& [batch, heads, all_runs] : all) {
    for (const Runs& runs : all_runs) {
      for (const auto& [of, keys] : head_sets(heads, sharers, takes_sets)) {
        pieces.push_back({batch, of, keys, runs});
      }
    }
  }
  return pieces;
}

/// What CUDA's kernels take whole: all that is causal, also behind a cache or in a band.
std::optional<int64_t> window_on_cuda(const at::Tensor& begin, const at::Tensor& k) {
  return k.is_cuda() ? causal_shape(begin, k.size(2)).window : std::nullopt;
}

/// Whether to call a GPU once: where its kernels are done before the next one is launched, and
/// copies of all operands are small.
bool is_packed(const std::vector<AlikeHeads>& all, const std::vector<Piece>& pieces,
               const at::Tensor& q) {
  constexpr size_t kFewCalls = 2;
  constexpr int64_t kMostElements = int64_t{1} << 25;
  constexpr int64_t kMostSequences = (1 << 16) - 1;  // a dimension of CUDA's grid
  return q.is_cuda() && pieces.size() > kFewCalls && q.numel() <= kMostElements &&
         packed_sequences(all) <= kMostSequences;
}

/// One run of all tokens of one sequence.
bool is_whole(const std::vector<Piece>& pieces) {
  return pieces.size() == 1 && pieces.front().runs.count == 1;
}

/// Output and log-sum-exp of one piece.
std::pair<at::Tensor, at::Tensor> forward_of(const Piece& piece, const at::Tensor& q,
                                             const at::Tensor& k, const at::Tensor& v) {
  if (q.is_cuda()) {
    const AttentionResult made =
        cuda_flash_forward(piece.queries(q), piece.keys(k), piece.keys(v), piece.runs.length);
    return {made.out, made.log_sum_exp};
  }
  auto [out, log_sum_exp] = at::_scaled_dot_product_flash_attention_for_cpu(
      piece.queries(q), piece.keys_of_each(k), piece.keys_of_each(v), /*dropout_p=*/0.0,
      /*is_causal=*/true);
  return {out, log_sum_exp};
}

AttentionGradients backward_of(const Piece& piece, const at::Tensor& grad_out, const at::Tensor& q,
                               const at::Tensor& k, const at::Tensor& v,
                               const AttentionResult& forward) {
  const at::Tensor grad = piece.queries(grad_out), out = piece.queries(forward.out);
  const at::Tensor log_sum_exp = piece.queries(forward.log_sum_exp);
  if (q.is_cuda()) {
    return cuda_flash_backward(grad, piece.queries(q), piece.keys(k), piece.keys(v),
                               piece.runs.length, {out, log_sum_exp});
  }
  auto [grad_q, grad_k, grad_v] = at::_scaled_dot_product_flash_attention_for_cpu_backward(
      grad, piece.queries(q), piece.keys_of_each(k), piece.keys_of_each(v), out, log_sum_exp,
      /*dropout_p=*/0.0, /*is_causal=*/true);
  return {grad_q, piece.sum_of_each(grad_k), piece.sum_of_each(grad_v)};
}

}  // namespace

bool sdpa_flash_supports(const at::Tensor& q, const at::Tensor& k, const VisibleKeys& visible) {
  const bool bf16 = q.scalar_type() == at::kBFloat16;
  const bool has_kernel = q.is_cuda() ? bf16 || q.scalar_type() == at::kHalf
                                      : q.is_cpu() && bf16 && processor() == Processor::kAmx;
  if (!has_kernel || q.size(3) % 8 != 0 || q.size(3) > 256) return false;
  if (visible.end.defined() || visible.sinks.defined()) return false;
  const CausalShape& shape = causal_shape(visible.begin, k.size(2));
  return (q.is_cuda() && shape.window) || !shape.heads.empty();
}

AttentionResult sdpa_flash_forward(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                   const at::Tensor& begin) {
  if (const auto window = window_on_cuda(begin, k)) {
    return cuda_flash_forward(q, k, v, *window);
  }
  const std::vector<AlikeHeads>& all = heads_in_runs(begin, k);
  const std::vector<Piece> pieces = pieces_of(all, q.size(1) / k.size(1), k.is_cuda());
  if (is_packed(all, pieces, q)) return cuda_packed_forward(q, k, v, all);
  if (is_whole(pieces)) {
    auto [out, log_sum_exp] = forward_of(pieces.front(), q, k, v);
    return {out, log_sum_exp};
  }
  AttentionResult result{time_major_like(q),
                         at::empty(q.sizes().slice(0, 3), q.options().dtype(at::kFloat))};
  for (const Piece& piece : pieces) {
    const auto [out, log_sum_exp] = forward_of(piece, q, k, v);
    piece.queries(result.out).copy_(out);
    piece.queries(result.log_sum_exp).copy_(log_sum_exp);
  }
  return result;
}

AttentionGradients sdpa_flash_backward(const at::Tensor& grad_out, const at::Tensor& q,
                                       const at::Tensor& k, const at::Tensor& v,
                                       const at::Tensor& begin, const AttentionResult& forward) {
  if (const auto window = window_on_cuda(begin, k)) {
    return cuda_flash_backward(grad_out, q, k, v, *window, forward);
  }
  const std::vector<AlikeHeads>& all = heads_in_runs(begin, k);
  const std::vector<Piece> pieces = pieces_of(all, q.size(1) / k.size(1), k.is_cuda());
  if (is_packed(all, pieces, q)) return cuda_packed_backward(grad_out, q, k, v, all, forward);
  if (is_whole(pieces)) return backward_of(pieces.front(), grad_out, q, k, v, forward);
  AttentionGradients grads{time_major_like(q), at::zeros_like(k), at::zeros_like(v)};
  for (const Piece& piece : pieces) {
    const AttentionGradients part = backward_of(piece, grad_out, q, k, v, forward);
    piece.queries(grads.q).copy_(part.q);
    piece.keys(grads.k).add_(part.k);
    piece.keys(grads.v).add_(part.v);
  }
  return grads;
}

}  // namespace longspan
