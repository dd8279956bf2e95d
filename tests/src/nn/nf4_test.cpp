#include "src/nn/nf4.h"

#include <ATen/Context.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include "tests/support/devices.h"
#include "tests/support/gradcheck.h"

namespace longspan {
namespace {

/// 150 x 320 with blocks of very different scales: 750 blocks, in 3 blocks of scales.
Nf4Weight some_weight(at::ScalarType dtype) {
  at::manual_seed(3);
  Nf4Weight weight = quantize_nf4(at::randn({150, 320}) * at::randn({150, 1}).exp());
  weight.dtype = dtype;
  return weight;
}

Nf4Weight on_device(Nf4Weight weight, at::Device device) {
  weight.codes = weight.codes.to(device);
  weight.scale_codes = weight.scale_codes.to(device);
  weight.nested_scale = weight.nested_scale.to(device);
  return weight;
}

/// By its definition, in float32 and rounded once.
at::Tensor plain(const Nf4Weight& weight) {
  const at::Tensor codebook = at::tensor(at::ArrayRef<float>(nf4_codebook()));
  const at::Tensor map = at::tensor(at::ArrayRef<float>(dynamic_map()));
  const at::Tensor codes =
      at::stack({weight.codes.div(16, "floor"), weight.codes.remainder(16)}, 1);
  const at::Tensor nested = weight.nested_scale.repeat_interleave(Nf4Weight::kScaleBlock)
                                .narrow(0, 0, weight.scale_codes.numel());
  const at::Tensor scales =
      map.index_select(0, weight.scale_codes.to(at::kInt)) * nested + weight.offset;
  const at::Tensor values =
      codebook.index_select(0, codes.flatten().to(at::kInt)).view({-1, Nf4Weight::kBlock});
  return (values * scales.unsqueeze(1)).view({weight.rows, weight.columns}).to(weight.dtype);
}

class Nf4On : public OnDevice {};

TEST_P(Nf4On, DequantisesToTheBitsOfItsDefinition) {
  for (at::ScalarType dtype : {at::kFloat, at::kBFloat16, at::kHalf}) {
    const Nf4Weight weight = some_weight(dtype);
    const at::Tensor dense = dequantize(on_device(weight, device()));
    EXPECT_EQ(dense.device().type(), device().type());
    EXPECT_EQ(dense.scalar_type(), dtype);
    EXPECT_TRUE(dense.cpu().equal(plain(weight))) << dtype;
  }
}

TEST_P(Nf4On, FillsTheScratchItIsGiven) {
  const Nf4Weight weight = on_device(some_weight(at::kBFloat16), device());
  at::Tensor scratch = at::empty({150, 320}, at::TensorOptions(device()).dtype(at::kBFloat16));
  EXPECT_EQ(dequantize(weight, scratch).const_data_ptr(), scratch.const_data_ptr());
  EXPECT_TRUE(scratch.equal(dequantize(weight)));
}

INSTANTIATE_ON_DEVICES(Nf4On);

// LibTorch's own mean of 33,792 scales depends on the number of threads.
TEST(Nf4, IsTheSameForAnyNumberOfThreads) {
  const OneThread until_the_end;
  for (uint64_t seed = 1; seed <= 4; ++seed) {
    at::manual_seed(seed);
    const at::Tensor values = at::randn({1024, 2112}) * at::randn({1024, 1}).exp();
    at::set_num_threads(1);
    const Nf4Weight one = quantize_nf4(values);
    at::set_num_threads(2);
    const Nf4Weight two = quantize_nf4(values);
    EXPECT_EQ(one.offset, two.offset) << "seed " << seed;
    EXPECT_TRUE(one.codes.equal(two.codes));
    EXPECT_TRUE(one.scale_codes.equal(two.scale_codes));
    EXPECT_TRUE(one.nested_scale.equal(two.nested_scale));
  }
}

}  // namespace
}  // namespace longspan
