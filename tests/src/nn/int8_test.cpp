#include "src/nn/int8.h"

#include <ATen/Context.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/devices.h"

namespace longspan {
namespace {

TEST(Int8, RoundsToTheNearestCodeOfItsRow) {
  // 2.54 / 127 = 0.02 a code; 0.1 / 127 in the second row.
  at::Tensor weight = at::tensor({2.54f, -2.54f, 0.039f, 0.041f, 0.1f, 0.0f, -0.05f, 0.025f});
  Int8Weight quantized = quantize_int8(weight.view({2, 4}));
  at::Tensor expected = at::tensor({127, -127, 2, 2, 127, 0, -64, 32}).to(at::kChar);
  EXPECT_TRUE(quantized.codes.equal(expected.view({2, 4}))) << quantized.codes;
}

TEST(Int8, ComesBackWithinItsBound) {
  at::manual_seed(11);
  for (int64_t columns : {1, 15, 16, 47, 300}) {
    for (auto dtype : {at::kFloat, at::kBFloat16}) {
      at::Tensor weight = at::randn({9, columns}).to(dtype);
      at::Tensor back = dequantize(quantize_int8(weight));
      at::Tensor absmax = weight.abs().amax({1}, /*keepdim=*/true).to(at::kDouble);
      double rounding = dtype == at::kFloat ? std::ldexp(1.0, -23) : std::ldexp(1.0, -8);
      at::Tensor bound = absmax / 127 * (0.5 + std::ldexp(1.0, -15)) + absmax * rounding;
      at::Tensor error = (back.to(at::kDouble) - weight.to(at::kDouble)).abs();
      EXPECT_TRUE(error.le(bound).all().item<bool>()) << columns << " " << c10::toString(dtype);
    }
  }
}

class Int8On : public OnDevice {};

TEST_P(Int8On, IsTheProductInFloat32RoundedOnce) {
  at::manual_seed(12);
  for (at::ScalarType dtype : {at::kFloat, at::kBFloat16, at::kHalf}) {
    for (int64_t columns : {1, 16, 77}) {
      Int8Weight quantized = quantize_int8(at::randn({5, columns}));
      quantized.dtype = dtype;
      const at::Tensor exact = quantized.codes.to(at::kFloat) * quantized.scales.unsqueeze(1);
      quantized.codes = quantized.codes.to(device());
      quantized.scales = quantized.scales.to(device());
      EXPECT_TRUE(dequantize(quantized).cpu().equal(exact.to(dtype))) << dtype << " " << columns;
    }
  }
}

INSTANTIATE_ON_DEVICES(Int8On);

}  // namespace
}  // namespace longspan
