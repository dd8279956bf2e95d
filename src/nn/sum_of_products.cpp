#include "src/nn/sum_of_products.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/zeros.h>

#include "src/nn/gradient_sums.h"
#include "src/nn/token_chunks.h"
#include "src/simd/operators.h"

namespace longspan {

at::Tensor sum_of_products(const at::Tensor& x, const at::Tensor& y) {
  if (!GradientSums::is_at_work()) return at::mm(x.t(), y);
  // Of which a copy in float32 exists at a time: what a CPU's caches hold, and on a GPU more work
  // than it takes to ask for it.
  const int64_t at_once = x.is_cpu() ? 512 : 4096;
  at::Tensor sum =
      at::zeros({x.size(1), y.size(1)}, x.options().dtype(at::toOpMathType(x.scalar_type())));
  each_chunk(x.size(0), at_once, [&](int64_t begin, int64_t count) {
    sum.addmm_(exact(x.narrow(0, begin, count)).t(), exact(y.narrow(0, begin, count)));
  });
  return sum;
}

}  // namespace longspan
