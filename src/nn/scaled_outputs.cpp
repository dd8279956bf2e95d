#include "src/nn/scaled_outputs.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include "src/nn/token_chunks.h"
#include "src/simd/operators.h"

namespace longspan {

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// Rows of which a copy in float32 exists at a time: what a CPU's caches hold, and on a GPU more
/// work than it takes to ask for it.
int64_t rows_in_float32(const at::Tensor& x) { return x.is_cpu() ? 256 : 4096; }

at::Tensor scaled_rows(const at::Tensor& rows, const at::Tensor& scale) {
  at::Tensor out = at::empty_like(rows);
  each_chunk(rows.size(0), rows_in_float32(rows), [&](int64_t begin, int64_t count) {
    out.narrow(0, begin, count).copy_(exact(rows.narrow(0, begin, count)) * scale);
  });
  return out;
}

class ScaledOutputs : public torch::autograd::Function<ScaledOutputs> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& y,
                            const at::Tensor& magnitude, const at::Tensor& norms) {
    context->save_for_backward({y, magnitude, norms});
    return scaled_rows(y.reshape({-1, y.size(-1)}), magnitude / norms).view(y.sizes());
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor y = saved[0].reshape({-1, saved[0].size(-1)}), &norms = saved[2];
    const at::Tensor gradient = gradients[0].reshape(y.sizes());
    at::Tensor sum = at::zeros_like(norms);
    each_chunk(y.size(0), rows_in_float32(y), [&](int64_t begin, int64_t count) {
      sum.add_((exact(gradient.narrow(0, begin, count)) * exact(y.narrow(0, begin, count))).sum(0));
    });
    at::Tensor grad_y;
    if (context->needs_input_grad(0)) {
      grad_y = scaled_rows(gradient, saved[1] / norms).view(saved[0].sizes());
    }
    return {grad_y, sum.div_(norms), at::Tensor()};
  }
};

}  // namespace

at::Tensor scaled_outputs(const at::Tensor& y, const at::Tensor& magnitude,
                          const at::Tensor& norms) {
  return ScaledOutputs::apply(y, magnitude, norms);
}

}  // namespace longspan
