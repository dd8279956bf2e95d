#include "src/attention/mem_dtype.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include "tests/support/largest.h"

namespace longspan {
namespace {

TEST(MemDtype, KeepsNumbersOfItsOwnBitForBit) {
  at::manual_seed(1);
  for (const auto& name : mem_dtype_names()) EXPECT_EQ(name_of(mem_dtype_named(name)), name);
  const at::Tensor x = at::randn({2, 3, 7, 16});
  EXPECT_TRUE(at::equal(as_remembered(x, MemDtype::kFloat32), x));
  const at::Tensor half = x.to(at::kBFloat16);
  EXPECT_TRUE(at::equal(as_remembered(half, MemDtype::kBFloat16), half));
  EXPECT_TRUE(at::equal(as_remembered(x, MemDtype::kBFloat16), half.to(at::kFloat)));
}

/// The largest error of a group of 32, or of all dimensions, is half a step.
TEST(MemDtype, RoundsByHalfAStepOfTheGroupAtMost) {
  at::manual_seed(2);
  for (const int64_t head_dim : {32, 64, 80, 7}) {
    const at::Tensor x = at::randn({2, 3, 5, head_dim}) * 3 + 1;
    const int64_t group = head_dim % 32 == 0 ? 32 : head_dim;
    const at::Tensor groups = x.unflatten(-1, {-1, group});
    const auto error = [&](MemDtype dtype) {
      return (as_remembered(x, dtype) - x).abs().unflatten(-1, {-1, group}).amax(-1);
    };
    // float16 rounds the scale and the offset by 2^-11.
    const at::Tensor largest_value = groups.abs().amax(-1);
    const at::Tensor width = groups.amax(-1) - groups.amin(-1);
    const at::Tensor room = largest_value * 0x1p-10;
    EXPECT_TRUE((error(MemDtype::kInt8) <= largest_value / 254 + room).all().item<bool>());
    EXPECT_TRUE((error(MemDtype::kInt4) <= width / 30 + 2 * room).all().item<bool>());
    EXPECT_GT(largest(error(MemDtype::kInt4)), largest(error(MemDtype::kInt8)));
  }
}

TEST(MemDtype, TakesZerosAndEqualValues) {
  const at::Tensor zeros = at::zeros({1, 1, 2, 32});
  for (const MemDtype dtype : {MemDtype::kInt8, MemDtype::kInt4}) {
    EXPECT_TRUE(at::equal(as_remembered(zeros, dtype), zeros));
    EXPECT_LT(largest(as_remembered(zeros + 0.5, dtype) - 0.5), 3e-3);
  }
}

TEST(MemDtype, SaysHowManyBytesItTakes) {
  for (const auto& name : mem_dtype_names()) {
    const MemDtype dtype = mem_dtype_named(name);
    for (const int64_t head_dim : {64, 7}) {
      const Remembered kept = remember(at::zeros({1, 1, 1, head_dim}), dtype);
      size_t bytes = 0;
      for (const at::Tensor& x : {kept.codes, kept.scales, kept.offsets}) {
        if (x.defined()) bytes += x.nbytes();
      }
      EXPECT_EQ(remembered_bytes(dtype, head_dim), static_cast<double>(bytes)) << name;
    }
  }
}

}  // namespace
}  // namespace longspan
