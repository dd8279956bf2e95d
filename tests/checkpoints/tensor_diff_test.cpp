#include "checkpoints/tensor_diff.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randn.h>
#include <gmock/gmock.h>

#include <cmath>
#include <limits>

#include "checkpoints/dtype.h"

namespace longspan {
namespace {

TensorSet set_of(std::vector<std::pair<std::string, at::Tensor>> tensors) {
  TensorSet set;
  for (const auto& [name, tensor] : tensors) {
    set.infos.push_back({name, std::string(safetensors_dtype(tensor.scalar_type())),
                         tensor.sizes().vec(), static_cast<int64_t>(tensor.nbytes())});
  }
  std::map<std::string, at::Tensor> by_name(tensors.begin(), tensors.end());
  set.tensor = [by_name](const std::string& name) { return by_name.at(name); };
  return set;
}

/// The one difference between two tensors.
TensorDifference difference(const at::Tensor& a, const at::Tensor& b) {
  static TensorSet left, right;  // the result points into them
  left = set_of({{"w", a}});
  right = set_of({{"w", b}});
  return diff_tensors(left, right).at(0);
}

TEST(TensorDiff, FindsEqualTensorsEqual) {
  at::Tensor weight = at::randn({3, 5});
  EXPECT_TRUE(difference(weight, weight.clone()).equal());
  EXPECT_TRUE(difference(weight, weight.t().contiguous().t()).equal());
}

TEST(TensorDiff, MeasuresByHowMuch) {
  at::Tensor a = at::ones({2, 2}), b = at::ones({2, 2});
  b[1][0] = 4;
  TensorDifference d = difference(a, b);
  EXPECT_FALSE(d.equal());
  EXPECT_EQ(d.unequal, 1);
  EXPECT_EQ(d.max_abs, 3);
  EXPECT_DOUBLE_EQ(d.relative, 1.5);  // 3 over the norm of four ones
}

TEST(TensorDiff, ComparesValuesAcrossDtypes) {
  at::Tensor weight = at::ones({4}) * 0.5;
  TensorDifference d = difference(weight, weight.to(at::kBFloat16));
  EXPECT_EQ(d.unequal, 0);
  EXPECT_FALSE(d.same_dtype());
  EXPECT_FALSE(d.equal());
}

TEST(TensorDiff, SeesOtherShapes) {
  TensorDifference d = difference(at::ones({2, 3}), at::ones({3, 2}));
  EXPECT_FALSE(d.same_shape());
  EXPECT_FALSE(d.equal());
}

TEST(TensorDiff, CountsNaNAsDifferentFromANumber) {
  at::Tensor a = at::ones({4}), b = at::ones({4});
  b[2] = std::numeric_limits<double>::quiet_NaN();
  TensorDifference d = difference(a, b);
  EXPECT_EQ(d.unequal, 1);
  EXPECT_TRUE(std::isnan(d.max_abs));
  EXPECT_TRUE(std::isnan(d.relative));
  EXPECT_TRUE(difference(b, b.clone()).equal());  // the same bytes
}

TEST(TensorDiff, FindsNoDifferenceBetweenEqualInfinities) {
  at::Tensor a = at::ones({4}), b = at::ones({4});
  a[0] = std::numeric_limits<double>::infinity();
  b[0] = a[0];
  b[2] = 3;
  TensorDifference d = difference(a, b);
  EXPECT_EQ(d.unequal, 1);
  EXPECT_EQ(d.max_abs, 2);
}

TEST(TensorDiff, ListsWhatOnlyOneHas) {
  at::Tensor t = at::ones({1});
  TensorSet a = set_of({{"both", t}, {"a", t}}), b = set_of({{"b", t}, {"both", t}});
  auto all = diff_tensors(a, b);
  ASSERT_EQ(all.size(), 3);
  EXPECT_EQ(all[0].name, "both");
  EXPECT_TRUE(all[1].name == "a" && all[1].a && !all[1].b);
  EXPECT_TRUE(all[2].name == "b" && !all[2].a && all[2].b);
}

TEST(TensorDiff, SumsOverBlocks) {
  at::Tensor a = at::ones({3'000'000}), b = at::ones({3'000'000});
  b[0] = 2;
  b[2'999'999] = 3;
  TensorDifference d = difference(a, b);
  EXPECT_EQ(d.unequal, 2);
  EXPECT_EQ(d.max_abs, 2);
  EXPECT_NEAR(d.relative, std::sqrt(5.0 / 3e6), 1e-12);
  b[0] = std::numeric_limits<double>::quiet_NaN();
  EXPECT_TRUE(std::isnan(difference(a, b).max_abs));
}

}  // namespace
}  // namespace longspan
