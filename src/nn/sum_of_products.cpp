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
  constexpr int64_t kRows = 512;  // of which a copy in float32 exists at a time
  at::Tensor sum =
      at::zeros({x.size(1), y.size(1)}, x.options().dtype(at::toOpMathType(x.scalar_type())));
  each_chunk(x.size(0), kRows, [&](int64_t begin, int64_t count) {
    sum.addmm_(exact(x.narrow(0, begin, count)).t(), exact(y.narrow(0, begin, count)));
  });
  return sum;
}

}  // namespace longspan
