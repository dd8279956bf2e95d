#include "src/nn/row_product.h"

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linear.h>

#include <algorithm>
#include <vector>

#include "src/nn/kernels/elementwise.h"

namespace longspan {

namespace {

// Of the weight, that one thread reads while another is woken.
constexpr int64_t kGrainWeights = 1 << 15;

bool needs_gradient(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  return at::GradMode::is_enabled() &&
         (x.requires_grad() || weight.requires_grad() || (bias.defined() && bias.requires_grad()));
}

/// Null where at::linear does the work.
const elementwise::Kernels* kernels_for_row(const at::Tensor& x, const at::Tensor& weight) {
  if (x.dim() == 0 || x.numel() != x.size(-1) || weight.dim() != 2) return nullptr;
  const int64_t inner = weight.size(1);
  const bool fits = x.size(-1) == inner && inner % 32 == 0 && inner > 0 &&
                    x.scalar_type() == weight.scalar_type() && weight.is_cpu() &&
                    weight.is_contiguous() && x.stride(-1) == 1;
  return fits ? elementwise::kernels_for(x) : nullptr;
}

}  // namespace

at::Tensor apply_linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  const auto* kernels = needs_gradient(x, weight, bias) ? nullptr : kernels_for_row(x, weight);
  if (!kernels) return at::linear(x, weight, bias);
  const int64_t inner = weight.size(1), outputs = weight.size(0);
  std::vector<int64_t> sizes = x.sizes().vec();
  sizes.back() = outputs;
  at::Tensor y = at::empty(sizes, x.options());
  at::parallel_for(0, outputs, std::max<int64_t>(1, kGrainWeights / inner),
                   [&](int64_t begin, int64_t end) {
                     kernels->row_product(x.const_data_ptr(), weight.const_data_ptr(), inner, begin,
                                          end, y.mutable_data_ptr());
                   });
  return bias.defined() ? y.add_(bias) : y;
}

}  // namespace longspan
