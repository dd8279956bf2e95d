#include "src/attention/kernels/cuda_flash.h"

#include <ATen/ops/_flash_attention_backward.h>
#include <ATen/ops/_flash_attention_forward.h>
#include <ATen/ops/zeros.h>

#include <optional>

#include "src/attention/kernels/cudnn_attention.h"
#include "src/attention/kernels/packed_runs.h"
#include "src/simd/operators.h"

namespace longspan {
namespace {

// Query heads times tokens that fill any GPU: 8,192 blocks of 128 rows.
constexpr int64_t kFillingRows = int64_t{1} << 20;

/// [B, T, H, D], as FlashAttention-2 has it.
at::Tensor time_major(const at::Tensor& x) { return x.transpose(1, 2); }

/// Keys before a query's own, or nothing where all are seen.
std::optional<int64_t> keys_to_the_left(const at::Tensor& k, int64_t window) {
  return window < k.size(2) ? std::optional(window - 1) : std::nullopt;
}

struct Lengths {
  at::Tensor begins;  // [sequences + 1] int32 of packed ones, else undefined
  int64_t queries, keys;

  std::optional<at::Tensor> optional_begins() const {
    return begins.defined() ? std::optional(begins) : std::nullopt;
  }
};

/// q, k, v as FlashAttention-2 has them; the log-sum-exp as it makes it.
AttentionResult flash2_forward(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                               const Lengths& of, std::optional<int64_t> left) {
  const auto result = at::_flash_attention_forward(
      q, k, v, of.optional_begins(), of.optional_begins(), of.queries, of.keys, /*dropout_p=*/0.0,
      /*is_causal=*/true, /*return_debug_mask=*/false, /*scale=*/std::nullopt, left);
  return {std::get<0>(result), std::get<1>(result)};
}

AttentionGradients flash2_backward(const at::Tensor& grad_out, const at::Tensor& q,
                                   const at::Tensor& k, const at::Tensor& v, const Lengths& of,
                                   std::optional<int64_t> left, const AttentionResult& forward) {
  const at::Tensor no_dropout = at::zeros({2}, q.options().dtype(at::kLong));
  auto [grad_q, grad_k, grad_v] = at::_flash_attention_backward(
      grad_out, q, k, v, forward.out, forward.log_sum_exp, of.begins, of.begins, of.queries,
      of.keys, /*dropout_p=*/0.0, /*is_causal=*/true, no_dropout, no_dropout,
      /*scale=*/std::nullopt, left);
  return {grad_q, grad_k, grad_v};
}

AttentionGradients backward_of(const at::Tensor& grad_out, const at::Tensor& q, const at::Tensor& k,
                               const at::Tensor& v, int64_t window,
                               const AttentionResult& forward) {
  if (window >= k.size(2) && cudnn_attention_is_faster(q, k)) {
    if (const auto grads = try_cudnn_backward(grad_out, q, k, v, forward)) return *grads;
  }
  const AttentionResult made{time_major(forward.out), forward.log_sum_exp.contiguous()};
  const AttentionGradients grad =
      flash2_backward(time_major(grad_out), time_major(q), time_major(k), time_major(v),
                      {{}, q.size(2), k.size(2)}, keys_to_the_left(k, window), made);
  return {time_major(grad.q), time_major(grad.k), time_major(grad.v)};
}

}  // namespace

int64_t cuda_backward_heads(int64_t query_heads, int64_t key_heads, int64_t tokens) {
  const int64_t sharers = query_heads / key_heads;
  int64_t parts = 1;
  while (key_heads % (2 * parts) == 0 &&
         key_heads / (2 * parts) * sharers * tokens >= kFillingRows) {
    parts *= 2;
  }
  return query_heads / parts;
}

AttentionResult cuda_flash_forward(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                   int64_t window) {
  if (window >= k.size(2) && cudnn_attention_is_faster(q, k)) {
    if (const auto made = try_cudnn_forward(q, k, v)) return *made;
  }
  const AttentionResult made =
      flash2_forward(time_major(q), time_major(k), time_major(v), {{}, q.size(2), k.size(2)},
                     keys_to_the_left(k, window));
  return {time_major(made.out), made.log_sum_exp};
}

AttentionGradients cuda_flash_backward(const at::Tensor& grad_out, const at::Tensor& q,
                                       const at::Tensor& k, const at::Tensor& v, int64_t window,
                                       const AttentionResult& forward) {
  const int64_t heads = q.size(1), key_heads = k.size(1);
  const int64_t at_once = cuda_backward_heads(heads, key_heads, q.size(2));
  if (at_once == heads) return backward_of(grad_out, q, k, v, window, forward);
  const int64_t keys_at_once = at_once * key_heads / heads;
  AttentionGradients all{time_major_like(q), time_major_like(k), time_major_like(v)};
  for (int64_t first = 0, key = 0; first < heads; first += at_once, key += keys_at_once) {
    const auto of_queries = [&](const at::Tensor& x) { return x.narrow(1, first, at_once); };
    const auto of_keys = [&](const at::Tensor& x) { return x.narrow(1, key, keys_at_once); };
    const AttentionGradients part =
        backward_of(of_queries(grad_out), of_queries(q), of_keys(k), of_keys(v), window,
                    {of_queries(forward.out), of_queries(forward.log_sum_exp)});
    of_queries(all.q).copy_(part.q);
    of_keys(all.k).copy_(part.k);
    of_keys(all.v).copy_(part.v);
  }
  return all;
}

AttentionResult cuda_packed_forward(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                    const std::vector<AlikeHeads>& heads) {
  const PackedRuns runs = pack_runs(heads);
  const at::Tensor begins = runs.begins.to(q.device(), at::kInt, /*non_blocking=*/true);
  const int64_t count = q.size(1);
  const AttentionResult made =
      flash2_forward(pack_heads(q, count), pack_heads(k, count), pack_heads(v, count),
                     {begins, runs.longest, runs.longest}, /*left=*/std::nullopt);
  return {time_major_like(q).copy_(unpack_heads(made.out, q)),
          made.log_sum_exp.view(q.sizes().slice(0, 3))};
}

AttentionGradients cuda_packed_backward(const at::Tensor& grad_out, const at::Tensor& q,
                                        const at::Tensor& k, const at::Tensor& v,
                                        const std::vector<AlikeHeads>& heads,
                                        const AttentionResult& forward) {
  const PackedRuns runs = pack_runs(heads);
  const at::Tensor begins = runs.begins.to(q.device(), at::kInt, /*non_blocking=*/true);
  const int64_t count = q.size(1);
  const AttentionGradients grad = flash2_backward(
      pack_heads(grad_out, count), pack_heads(q, count), pack_heads(k, count), pack_heads(v, count),
      {begins, runs.longest, runs.longest}, /*left=*/std::nullopt,
      {pack_heads(forward.out, count), forward.log_sum_exp.reshape({1, -1})});
  return {unpack_heads(grad.q, q), unpack_heads(grad.k, k), unpack_heads(grad.v, v)};
}

}  // namespace longspan
