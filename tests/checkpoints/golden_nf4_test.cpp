// What bitsandbytes makes of a weight (tests/reference/make_nf4.py), made by us.

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include "checkpoints/safetensors.h"
#include "src/core/error.h"
#include "src/nn/nf4.h"
#include "tests/support/places.h"

namespace longspan {
namespace {

at::Tensor golden(const std::string& name) {
  static const SafetensorsReader reader(reference_folder() / "nf4.safetensors");
  return reader.tensor(name);
}

/// The weight of tests/reference/make_nf4.py.
at::Tensor golden_weight() {
  at::Tensor index = at::arange(53 * 320, at::kLong);
  at::Tensor hash = (index * 2654435761).remainder(int64_t{1} << 32).to(at::kDouble);
  at::Tensor weight = (hash / 4294967296.0 - 0.5).to(at::kFloat).view({53, 320}) / 16;
  weight[3].narrow(0, 0, 64).zero_();
  weight[5][17] = 3.0;
  weight[7].narrow(0, 0, 16).copy_(at::tensor({-1.0f, 1.0f, 0.5f, -0.5f}).repeat({4}) / 16);
  return weight;
}

TEST(Nf4, HasBitsandbytesDynamicMap) {
  at::Tensor expected = golden("dynamic_map");
  for (int64_t i = 0; i < 256; ++i) {
    EXPECT_EQ(dynamic_map()[static_cast<size_t>(i)], expected[i].item<float>()) << i;
  }
}

TEST(Nf4, QuantisesAsBitsandbytesBitForBit) {
  for (auto [name, dtype] :
       {std::pair{"float32", at::kFloat}, std::pair{"bfloat16", at::kBFloat16}}) {
    Nf4Weight weight = quantize_nf4(golden_weight().to(dtype));
    std::string prefix = std::string(name) + ".";
    EXPECT_TRUE(weight.codes.equal(golden(prefix + "codes"))) << name;
    EXPECT_EQ(weight.offset, golden(prefix + "offset").item<float>()) << name;
    EXPECT_TRUE(weight.scale_codes.equal(golden(prefix + "scale_codes"))) << name;
    EXPECT_TRUE(weight.nested_scale.equal(golden(prefix + "nested_scale"))) << name;
    EXPECT_TRUE(dequantize(weight).equal(golden(prefix + "dequantized"))) << name;
  }
}

TEST(Nf4, DequantisesIntoAScratch) {
  Nf4Weight weight = quantize_nf4(golden_weight().to(at::kBFloat16));
  at::Tensor scratch = at::empty({53, 320}, at::kBFloat16);
  at::Tensor out = dequantize(weight, scratch);
  EXPECT_EQ(out.const_data_ptr(), scratch.const_data_ptr());
  EXPECT_TRUE(scratch.equal(dequantize(weight)));
}

TEST(Nf4, RefusesAWeightThatDoesNotFallIntoBlocks) {
  EXPECT_THROW(quantize_nf4(at::empty({3, 20}, at::kFloat).zero_()), Error);
}

}  // namespace
}  // namespace longspan
