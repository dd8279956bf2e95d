#include "src/nn/int8.h"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mul.h>

#include <algorithm>

#include "src/attention/kernels/bf16_tensor.h"
#include "src/nn/kernels/int8_bf16.h"

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
  if (!out.is_cpu()) return at::mul_out(out, weight.codes, weight.scales.unsqueeze(1));
  const auto* codes = weight.codes.const_data_ptr<int8_t>();
  const auto* scales = weight.scales.const_data_ptr<float>();
  bool vectorised = runs_bf16_kernels(out);
  at::Tensor values = vectorised ? at::Tensor() : at::empty({rows, columns}, at::kFloat);
  at::parallel_for(0, rows, rows_of(kGrainElements, columns), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const int8_t* from = codes + row * columns;
      if (vectorised) {
        bf16::dequantize_int8_row(from, scales[row], columns,
                                  mutable_bf16_data(out) + row * columns);
        continue;
      }
      float* to = values.mutable_data_ptr<float>() + row * columns;
      for (int64_t i = 0; i < columns; ++i) to[i] = static_cast<float>(from[i]) * scales[row];
    }
  });
  if (!vectorised) out.copy_(values);
  return out;
}

}  // namespace longspan
