#include "src/attention/kernels/causal_attention.h"

#include <c10/util/Exception.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cstdlib>
#include <string_view>

#include "src/attention/kernels/flash_attention.h"
#include "src/attention/kernels/sdpa_attention.h"

namespace longspan {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// The kernel reads rows of contiguous elements.
at::Tensor with_contiguous_rows(const at::Tensor& x) {
  return x.stride(3) == 1 ? x : x.contiguous();
}

class FlashAttention : public torch::autograd::Function<FlashAttention> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& q, const at::Tensor& k,
                            const at::Tensor& v, const at::Tensor& key_start) {
    const FlashOutput result = flash_forward(q, k, v, key_start);
    context->save_for_backward({q, k, v, key_start, result.out, result.log_sum_exp});
    return result.out;
  }

  static variable_list backward(AutogradContext* context, variable_list grad_outputs) {
    const variable_list saved = context->get_saved_variables();
    const FlashGradients grad = flash_backward(with_contiguous_rows(grad_outputs[0]), saved[0],
                                               saved[1], saved[2], saved[3], {saved[4], saved[5]});
    return {grad.q, grad.k, grad.v, at::Tensor()};
  }
};

void check_shapes(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                  const at::Tensor& key_start) {
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

bool sdpa_forced() {
  const char* choice = std::getenv("LONGSPAN_ATTENTION");
  return choice != nullptr && std::string_view(choice) == "sdpa";
}

}  // namespace

at::Tensor causal_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                            const at::Tensor& key_start) {
  check_shapes(q, k, v, key_start);
  check_intervals(key_start, k.size(2));
  if (q.numel() == 0) return q.clone();
  if (sdpa_forced() || !flash_attention_supports(q)) return sdpa_attention(q, k, v, key_start);
  return FlashAttention::apply(with_contiguous_rows(q), with_contiguous_rows(k),
                               with_contiguous_rows(v), key_start);
}

}  // namespace longspan
