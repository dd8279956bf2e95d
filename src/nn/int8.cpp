#include "src/nn/int8.h"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mul.h>

#include <algorithm>
#include <cstddef>

#include "src/nn/kernels/elementwise.h"

namespace longspan {

namespace {

constexpr double kLargestCode = 127;
constexpr double kLeastAbsmax = 1e-35;  // 127 over it is still finite in float32
constexpr int64_t kSliceElements = 1 << 18, kGrainElements = 1 << 14;

int64_t rows_of(int64_t elements, int64_t columns) {
  return std::max<int64_t>(1, elements / std::max<int64_t>(columns, 1));
}

}  // namespace

Int8Weight quantize_int8(const at::Tensor& weight) {
  int64_t rows = weight.size(0), columns = weight.size(1);
  Int8Weight result;
  result.dtype = weight.scalar_type();
  result.codes = at::empty({rows, columns}, at::kChar);
  result.scales = at::empty({rows}, at::kFloat);
  const int64_t slice = rows_of(kSliceElements, columns);
  for (int64_t begin = 0; begin < rows; begin += slice) {
    int64_t count = std::min(slice, rows - begin);
    at::Tensor values = weight.narrow(0, begin, count).to(at::kFloat);
    at::Tensor absmax = values.abs().amax({1}, /*keepdim=*/true).clamp_min_(kLeastAbsmax);
    result.codes.narrow(0, begin, count).copy_((values * (kLargestCode / absmax)).round_());
    result.scales.narrow(0, begin, count).copy_(absmax.squeeze(1) / kLargestCode);
  }
  return result;
}

at::Tensor dequantize(const Int8Weight& weight, at::Tensor out) {
  int64_t rows = weight.codes.size(0), columns = weight.codes.size(1);
  if (!out.defined()) {
    out = at::empty({rows, columns}, weight.codes.options().dtype(weight.dtype));
  }
  const elementwise::Kernels* kernels = elementwise::kernels_for(out);
  if (!kernels) return at::mul_out(out, weight.codes, weight.scales.unsqueeze(1));
  const auto* codes = weight.codes.const_data_ptr<int8_t>();
  const auto* scales = weight.scales.const_data_ptr<float>();
  auto* to = static_cast<std::byte*>(out.mutable_data_ptr());
  const int64_t row_bytes = columns * static_cast<int64_t>(out.element_size());
  at::parallel_for(0, rows, rows_of(kGrainElements, columns), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      kernels->dequantize_int8(codes + row * columns, scales[row], columns, to + row * row_bytes);
    }
  });
  return out;
}

}  // namespace longspan
