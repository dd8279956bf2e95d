#include "src/attention/kernels/causal_attention.h"

#include <ATen/core/grad_mode.h>
#include <c10/util/Exception.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include <optional>
#include <tuple>

#include "src/attention/kernels/flash_attention.h"
#include "src/attention/kernels/sdpa_attention.h"
#include "src/attention/kernels/sdpa_flash.h"
#include "src/simd/operators.h"

namespace longspan {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

using FlashForward = std::tuple<at::Tensor, at::Tensor>(const at::Tensor& q, const at::Tensor& k,
                                                        const at::Tensor& v,
                                                        const at::Tensor& key_start,
                                                        const std::optional<at::Tensor>& sinks);
using FlashBackward = std::tuple<at::Tensor, at::Tensor, at::Tensor>(
    const at::Tensor& grad_out, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
    const at::Tensor& key_start, const std::optional<at::Tensor>& sinks, const at::Tensor& out,
    const at::Tensor& log_sum_exp);

std::optional<at::Tensor> if_defined(const at::Tensor& x) {
  return x.defined() ? std::optional(x) : std::nullopt;
}

KeptAttention run_forward(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                          const at::Tensor& key_start, const std::optional<at::Tensor>& sinks) {
  static const auto op = find_operator<FlashForward>("longspan::causal_attention");
  auto [out, log_sum_exp] = op.call(q, k, v, key_start, sinks);
  return {out, log_sum_exp};
}

class FlashAttention : public torch::autograd::Function<FlashAttention> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& q, const at::Tensor& k,
                            const at::Tensor& v, const at::Tensor& key_start,
                            const std::optional<at::Tensor>& sinks, KeptAttention* kept) {
    const bool known = kept && kept->out.defined();
    const KeptAttention result = known ? *kept : run_forward(q, k, v, key_start, sinks);
    context->save_for_backward(
        {q, k, v, key_start, sinks.value_or(at::Tensor()), result.out, result.log_sum_exp});
    return result.out;
  }

  static variable_list backward(AutogradContext* context, variable_list grad_outputs) {
    static const auto op = find_operator<FlashBackward>("longspan::causal_attention_backward");
    const variable_list saved = context->get_saved_variables();
    auto [q, k, v] = op.call(with_contiguous_rows(grad_outputs[0]), saved[0], saved[1], saved[2],
                             saved[3], if_defined(saved[4]), saved[5], saved[6]);
    return {q, k, v, at::Tensor(), at::Tensor(), at::Tensor()};
  }
};

void check_shapes(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                  const at::Tensor& key_start, const at::Tensor& sinks) {
  TORCH_CHECK(q.dim() == 4 && k.dim() == 4, "causal_attention: q and k must be [B, H, T, D], got ",
              q.sizes(), " and ", k.sizes());
  TORCH_CHECK(v.sizes() == k.sizes(), "causal_attention: v ", v.sizes(), " is not shaped like k ",
              k.sizes());
  TORCH_CHECK(k.size(0) == q.size(0) && k.size(3) == q.size(3) && k.size(1) > 0 &&
                  q.size(1) % k.size(1) == 0 && q.size(2) <= k.size(2),
              "causal_attention: q ", q.sizes(), " does not go with k ", k.sizes());
  TORCH_CHECK(q.scalar_type() == k.scalar_type() && q.scalar_type() == v.scalar_type(),
              "causal_attention: q, k and v must have one dtype");
  TORCH_CHECK(key_start.scalar_type() == at::kInt && key_start.is_contiguous() &&
                  key_start.sizes() == q.sizes().slice(0, 3),
              "causal_attention: key_start must be contiguous int32 [B, H, Tq], got ",
              key_start.scalar_type(), " ", key_start.sizes(), " for q ", q.sizes());
  TORCH_CHECK(!sinks.defined() ||
                  (sinks.scalar_type() == at::kInt && sinks.is_contiguous() && sinks.dim() == 4 &&
                   sinks.size(0) == 2 && sinks.sizes().slice(1) == key_start.sizes()),
              "causal_attention: sinks must be contiguous int32 [2, B, H, Tq]");
}

/// Every interval is non-empty, inside the keys, and starts no earlier than the one before.
void check_intervals(const at::Tensor& key_start, int64_t keys) {
  const at::Tensor host = key_start.cpu();
  const auto* start = host.const_data_ptr<int32_t>();
  const int64_t queries = host.size(2);
  for (int64_t i = 0; i < host.numel(); ++i) {
    const int64_t row = i % queries;
    const int32_t least = row == 0 ? 0 : start[i - 1];
    TORCH_CHECK(start[i] >= least && start[i] <= keys - queries + row,
                "causal_attention: key_start ", start[i], " of query ", row, " is not between ",
                least, " and ", keys - queries + row);
  }
}

/// Sinks lie in order and before the interval.
void check_sinks(const at::Tensor& sinks, const at::Tensor& key_start) {
  const at::Tensor host = sinks.cpu(), host_starts = key_start.cpu();
  const auto* begin = host.const_data_ptr<int32_t>();
  const auto* start = host_starts.const_data_ptr<int32_t>();
  const auto* end = begin + host_starts.numel();
  const int64_t queries = host.size(3);
  for (int64_t i = 0; i < host_starts.numel(); ++i) {
    const bool first = i % queries == 0;
    TORCH_CHECK(begin[i] >= (first ? 0 : begin[i - 1]) && end[i] >= (first ? 0 : end[i - 1]) &&
                    end[i] <= start[i],
                "causal_attention: sinks ", begin[i], " to ", end[i], " of query ", i % queries,
                " decrease or pass key_start ", start[i]);
  }
}

std::tuple<at::Tensor, at::Tensor> forward_operator(const at::Tensor& q, const at::Tensor& k,
                                                    const at::Tensor& v,
                                                    const at::Tensor& key_start,
                                                    const std::optional<at::Tensor>& if_sinks) {
  const at::Tensor sinks = if_sinks.value_or(at::Tensor());
  const KeptAttention result = sdpa_flash_supports(q, k, key_start, sinks)
                                   ? sdpa_flash_forward(q, k, v, key_start)
                                   : flash_forward(q, k, v, key_start, sinks);
  return {result.out, result.log_sum_exp};
}

std::tuple<at::Tensor, at::Tensor, at::Tensor> backward_operator(
    const at::Tensor& grad_out, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
    const at::Tensor& key_start, const std::optional<at::Tensor>& if_sinks, const at::Tensor& out,
    const at::Tensor& log_sum_exp) {
  const at::Tensor sinks = if_sinks.value_or(at::Tensor());
  const KeptAttention forward{out, log_sum_exp};
  const FlashGradients grad = sdpa_flash_supports(q, k, key_start, sinks)
                                  ? sdpa_flash_backward(grad_out, q, k, v, key_start, forward)
                                  : flash_backward(grad_out, q, k, v, key_start, sinks, forward);
  return {grad.q, grad.k, grad.v};
}

}  // namespace

at::Tensor causal_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                            const at::Tensor& key_start, KeptAttention* kept,
                            const at::Tensor& sinks) {
  check_shapes(q, k, v, key_start, sinks);
  check_intervals(key_start, k.size(2));
  if (sinks.defined()) check_sinks(sinks, key_start);
  if (q.numel() == 0) return q.clone();
  if (!flash_attention_supports(q) && !sdpa_flash_supports(q, k, key_start, sinks)) {
    return sdpa_attention(q, k, v, key_start, sinks);
  }
  const at::Tensor rows_q = with_contiguous_rows(q), rows_k = with_contiguous_rows(k),
                   rows_v = with_contiguous_rows(v);
  if (at::GradMode::is_enabled()) {
    return FlashAttention::apply(rows_q, rows_k, rows_v, key_start, if_defined(sinks), kept);
  }
  KeptAttention result = run_forward(rows_q, rows_k, rows_v, key_start, if_defined(sinks));
  if (kept) *kept = result;
  return result.out;
}

TORCH_LIBRARY_FRAGMENT(longspan, library) {
  library.def(
      "causal_attention(Tensor q, Tensor k, Tensor v, Tensor key_start, Tensor? sinks)"
      " -> (Tensor out, Tensor log_sum_exp)");
  library.def(
      "causal_attention_backward(Tensor grad_out, Tensor q, Tensor k, Tensor v, Tensor key_start,"
      " Tensor? sinks, Tensor out, Tensor log_sum_exp)"
      " -> (Tensor grad_q, Tensor grad_k, Tensor grad_v)");
}

// CUDA here and not in the plugin: LibTorch's operators find their own CUDA kernels. What those do
// not take, flash_forward and flash_backward refuse.
TORCH_LIBRARY_IMPL(longspan, CPU, library) {
  library.impl("causal_attention", forward_operator);
  library.impl("causal_attention_backward", backward_operator);
}
TORCH_LIBRARY_IMPL(longspan, CUDA, library) {
  library.impl("causal_attention", forward_operator);
  library.impl("causal_attention_backward", backward_operator);
}

}  // namespace longspan
