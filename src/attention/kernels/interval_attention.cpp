#include "src/attention/kernels/interval_attention.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/zeros_like.h>
#include <c10/util/Exception.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include <optional>
#include <tuple>

#include "src/attention/kernels/explicit_attention.h"
#include "src/attention/kernels/flash_attention.h"
#include "src/attention/kernels/sdpa_attention.h"
#include "src/attention/kernels/sdpa_flash.h"
#include "src/simd/operators.h"

namespace longspan {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

using Forward = std::tuple<at::Tensor, at::Tensor>(const at::Tensor& q, const at::Tensor& k,
                                                   const at::Tensor& v, const at::Tensor& begin,
                                                   const std::optional<at::Tensor>& end,
                                                   const std::optional<at::Tensor>& sinks);
using Backward = std::tuple<at::Tensor, at::Tensor, at::Tensor>(
    const at::Tensor& grad_out, const std::optional<at::Tensor>& grad_log_sum_exp,
    const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const at::Tensor& begin,
    const std::optional<at::Tensor>& end, const std::optional<at::Tensor>& sinks,
    const at::Tensor& out, const at::Tensor& log_sum_exp);

std::optional<at::Tensor> if_defined(const at::Tensor& x) {
  return x.defined() ? std::optional(x) : std::nullopt;
}

AttentionResult run_forward(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                            const VisibleKeys& visible) {
  static const auto op = find_operator<Forward>("longspan::interval_attention");
  auto [out, log_sum_exp] =
      op.call(q, k, v, visible.begin, if_defined(visible.end), if_defined(visible.sinks));
  return {out, log_sum_exp};
}

AttentionGradients run_backward(const at::Tensor& grad_out, const at::Tensor& grad_log_sum_exp,
                                const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                const VisibleKeys& visible, const AttentionResult& forward) {
  static const auto op = find_operator<Backward>("longspan::interval_attention_backward");
  auto [grad_q, grad_k, grad_v] =
      op.call(grad_out, if_defined(grad_log_sum_exp), q, k, v, visible.begin,
              if_defined(visible.end), if_defined(visible.sinks), forward.out, forward.log_sum_exp);
  return {grad_q, grad_k, grad_v};
}

class FlashAttention : public torch::autograd::Function<FlashAttention> {
 public:
  static variable_list forward(AutogradContext* context, const at::Tensor& q, const at::Tensor& k,
                               const at::Tensor& v, const VisibleKeys& visible,
                               const AttentionResult* kept) {
    const AttentionResult result = kept ? *kept : run_forward(q, k, v, visible);
    context->set_materialize_grads(false);
    context->save_for_backward(
        {q, k, v, visible.begin, visible.end, visible.sinks, result.out, result.log_sum_exp});
    return {result.out, result.log_sum_exp};
  }

  static variable_list backward(AutogradContext* context, variable_list grad_outputs) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor grad_out = grad_outputs[0].defined() ? with_contiguous_rows(grad_outputs[0])
                                                          : at::zeros_like(saved[6]);
    const AttentionGradients grad =
        run_backward(grad_out, grad_outputs[1], saved[0], saved[1], saved[2],
                     {saved[3], saved[4], saved[5]}, {saved[6], saved[7]});
    return {grad.q, grad.k, grad.v, at::Tensor(), at::Tensor()};
  }
};

void check_shapes(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  TORCH_CHECK(q.dim() == 4 && k.dim() == 4,
              "interval_attention: q and k must be [B, H, T, D], got ", q.sizes(), " and ",
              k.sizes());
  TORCH_CHECK(v.sizes() == k.sizes(), "interval_attention: v ", v.sizes(), " is not shaped like k ",
              k.sizes());
  TORCH_CHECK(k.size(0) == q.size(0) && k.size(3) == q.size(3) && k.size(1) > 0 &&
                  q.size(1) % k.size(1) == 0,
              "interval_attention: q ", q.sizes(), " does not go with k ", k.sizes());
  TORCH_CHECK(q.scalar_type() == k.scalar_type() && q.scalar_type() == v.scalar_type(),
              "interval_attention: q, k and v must have one dtype");
}

/// One number a query.
void check_numbers(const at::Tensor& x, const char* name, const at::Tensor& q) {
  TORCH_CHECK(
      x.scalar_type() == at::kInt && x.is_contiguous() && x.sizes() == q.sizes().slice(0, 3),
      "interval_attention: ", name, " must be contiguous int32 [B, H, Tq], got ", x.scalar_type(),
      " ", x.sizes(), " for q ", q.sizes());
}

/// Every interval that ends at its query is non-empty, inside the keys, and starts no earlier than
/// the one before.
void check_causal(const at::Tensor& begin, int64_t keys) {
  const at::Tensor host = begin.cpu();
  const auto* start = host.const_data_ptr<int32_t>();
  const int64_t queries = host.size(2);
  TORCH_CHECK(queries <= keys, "interval_attention: ", queries, " queries are more than ", keys,
              " keys, and their intervals have no end of their own");
  for (; start != host.const_data_ptr<int32_t>() + host.numel(); start += queries) {
    int32_t least = 0;
    for (int64_t row = 0; row < queries; least = start[row++]) {
      // What begins with the query before fits as that does.
      if (row > 0 && start[row] == least) continue;
      TORCH_CHECK(start[row] >= least && start[row] <= keys - queries + row,
                  "interval_attention: begin ", start[row], " of query ", row, " is not between ",
                  least, " and ", keys - queries + row);
    }
  }
}

/// Within the keys and never decreasing.
void check_order(const at::Tensor& x, const char* name, int64_t keys) {
  const at::Tensor host = x.cpu();
  const auto* value = host.const_data_ptr<int32_t>();
  const int64_t queries = host.size(2);
  for (int64_t i = 0; i < host.numel(); ++i) {
    const int32_t least = i % queries == 0 ? 0 : value[i - 1];
    TORCH_CHECK(value[i] >= least && value[i] <= keys, "interval_attention: ", name, " ", value[i],
                " of query ", i % queries, " is not between ", least, " and ", keys);
  }
}

/// Sinks lie in order and before the interval.
void check_sinks(const at::Tensor& sinks, const at::Tensor& interval_begin) {
  TORCH_CHECK(sinks.scalar_type() == at::kInt && sinks.is_contiguous() && sinks.dim() == 4 &&
                  sinks.size(0) == 2 && sinks.sizes().slice(1) == interval_begin.sizes(),
              "interval_attention: sinks must be contiguous int32 [2, B, H, Tq]");
  const at::Tensor host = sinks.cpu(), host_starts = interval_begin.cpu();
  const auto* begin = host.const_data_ptr<int32_t>();
  const auto* start = host_starts.const_data_ptr<int32_t>();
  const auto* end = begin + host_starts.numel();
  const int64_t queries = host.size(3);
  for (int64_t i = 0; i < host_starts.numel(); ++i) {
    const bool first = i % queries == 0;
    TORCH_CHECK(begin[i] >= (first ? 0 : begin[i - 1]) && end[i] >= (first ? 0 : end[i - 1]) &&
                    end[i] <= start[i],
                "interval_attention: sinks ", begin[i], " to ", end[i], " of query ", i % queries,
                " decrease or pass the interval's begin ", start[i]);
  }
}

void check(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
           const VisibleKeys& visible) {
  check_shapes(q, k, v);
  check_numbers(visible.begin, "begin", q);
  if (visible.end.defined()) {
    check_numbers(visible.end, "end", q);
    check_order(visible.begin, "begin", k.size(2));
    check_order(visible.end, "end", k.size(2));
  } else {
    check_causal(visible.begin, k.size(2));
  }
  if (visible.sinks.defined()) check_sinks(visible.sinks, visible.begin);
}

/// Operands that were checked, by the operators, with autograd where it records.
AttentionResult attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                       const VisibleKeys& visible, const AttentionResult* kept) {
  if (!at::GradMode::is_enabled()) {
    return run_forward(with_contiguous_rows(q), with_contiguous_rows(k), with_contiguous_rows(v),
                       visible);
  }
  const variable_list result = FlashAttention::apply(
      with_contiguous_rows(q), with_contiguous_rows(k), with_contiguous_rows(v), visible, kept);
  return {result[0], result[1]};
}

VisibleKeys visible_of(const at::Tensor& begin, const std::optional<at::Tensor>& end,
                       const std::optional<at::Tensor>& sinks) {
  return {begin, end.value_or(at::Tensor()), sinks.value_or(at::Tensor())};
}

bool has_flash_kernel(const at::Tensor& q, const at::Tensor& k) {
  return flash_attention_supports(q) && k.size(2) > 0;
}

std::tuple<at::Tensor, at::Tensor> forward_operator(const at::Tensor& q, const at::Tensor& k,
                                                    const at::Tensor& v, const at::Tensor& begin,
                                                    const std::optional<at::Tensor>& end,
                                                    const std::optional<at::Tensor>& sinks) {
  const VisibleKeys visible = visible_of(begin, end, sinks);
  const AttentionResult result = sdpa_flash_supports(q, k, visible)
                                     ? sdpa_flash_forward(q, k, v, begin)
                                 : has_flash_kernel(q, k) ? flash_forward(q, k, v, visible)
                                                          : explicit_forward(q, k, v, visible);
  return {result.out, result.log_sum_exp};
}

std::tuple<at::Tensor, at::Tensor, at::Tensor> backward_operator(
    const at::Tensor& grad_out, const std::optional<at::Tensor>& grad_log_sum_exp,
    const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const at::Tensor& begin,
    const std::optional<at::Tensor>& end, const std::optional<at::Tensor>& sinks,
    const at::Tensor& out, const at::Tensor& log_sum_exp) {
  const VisibleKeys visible = visible_of(begin, end, sinks);
  const AttentionResult forward{out, log_sum_exp};
  const at::Tensor grad_lse = grad_log_sum_exp.value_or(at::Tensor());
  // LibTorch's kernel takes no gradient of the log-sum-exp.
  const AttentionGradients grad =
      !grad_lse.defined() && sdpa_flash_supports(q, k, visible)
          ? sdpa_flash_backward(grad_out, q, k, v, begin, forward)
      : has_flash_kernel(q, k) ? flash_backward(grad_out, grad_lse, q, k, v, visible, forward)
                               : explicit_backward(grad_out, grad_lse, q, k, v, visible, forward);
  return {grad.q, grad.k, grad.v};
}

}  // namespace

at::Tensor interval_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                              const VisibleKeys& visible, AttentionResult* kept) {
  check(q, k, v, visible);
  if (q.numel() == 0) return q.clone();
  const bool has_kernel = flash_attention_supports(q) || sdpa_flash_supports(q, k, visible);
  if (!has_kernel) {
    return visible.end.defined() ? attend(q, k, v, visible, nullptr).out
                                 : sdpa_attention(q, k, v, visible);
  }
  const AttentionResult result =
      attend(q, k, v, visible, kept && kept->out.defined() ? kept : nullptr);
  if (kept && !at::GradMode::is_enabled()) *kept = result;
  return result.out;
}

AttentionResult partial_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                  const VisibleKeys& visible) {
  check(q, k, v, visible);
  if (q.numel() == 0) return {q.clone(), exact(q.sum(-1))};
  return attend(q, k, v, visible, nullptr);
}

AttentionGradients partial_attention_backward(const at::Tensor& grad_out, const at::Tensor& q,
                                              const at::Tensor& k, const at::Tensor& v,
                                              const VisibleKeys& visible,
                                              const AttentionResult& all) {
  if (q.numel() == 0) return {q.clone(), at::zeros_like(k), at::zeros_like(v)};
  return run_backward(grad_out, {}, q, k, v, visible, all);
}

TORCH_LIBRARY_FRAGMENT(longspan, library) {
  library.def(
      "interval_attention(Tensor q, Tensor k, Tensor v, Tensor begin, Tensor? end, Tensor? sinks)"
      " -> (Tensor out, Tensor log_sum_exp)");
  library.def(
      "interval_attention_backward(Tensor grad_out, Tensor? grad_log_sum_exp, Tensor q, Tensor k,"
      " Tensor v, Tensor begin, Tensor? end, Tensor? sinks, Tensor out, Tensor log_sum_exp)"
      " -> (Tensor grad_q, Tensor grad_k, Tensor grad_v)");
}

// CUDA here and not in the plugin: LibTorch's operators find their own CUDA kernels.
TORCH_LIBRARY_IMPL(longspan, CPU, library) {
  library.impl("interval_attention", forward_operator);
  library.impl("interval_attention_backward", backward_operator);
}
TORCH_LIBRARY_IMPL(longspan, CUDA, library) {
  library.impl("interval_attention", forward_operator);
  library.impl("interval_attention_backward", backward_operator);
}

}  // namespace longspan
