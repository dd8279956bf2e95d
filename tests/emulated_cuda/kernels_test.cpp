// The kernels of the CUDA plugin, run by the CPU thread after thread (src/simd/cuda/launch.h in
// this folder), against the CPU's own of the same operators.

#include <ATen/Context.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "src/nn/nf4.h"

namespace longspan {
namespace {

using Values = std::vector<c10::IValue>;

/// What the operator's kernel for `key` gives, whatever the device of the arguments.
Values run(const char* name, c10::DispatchKey key, Values arguments) {
  const auto op = c10::Dispatcher::singleton().findSchemaOrThrow(name, "");
  op.redispatchBoxed(c10::DispatchKeySet(key), &arguments);
  return arguments;
}
Values on_cuda(const char* name, const Values& arguments) {
  return run(name, c10::DispatchKey::CUDA, arguments);
}
Values on_cpu(const char* name, const Values& arguments) {
  return run(name, c10::DispatchKey::CPU, arguments);
}

/// The same with tensors of floating point in float64.
Values exact_of(const Values& arguments) {
  Values exact = arguments;
  for (c10::IValue& value : exact) {
    if (value.isTensor() && at::isFloatingType(value.toTensor().scalar_type())) {
      value = value.toTensor().to(at::kDouble);
    }
  }
  return exact;
}

constexpr at::ScalarType kDtypes[] = {at::kDouble, at::kFloat, at::kBFloat16};

/// Of a few operations in the dtype, or one rounding to it, in parts of the largest number.
double rounding_of(at::ScalarType dtype) {
  if (dtype == at::kDouble) return 1e-13;
  return dtype == at::kFloat ? 4e-6 : 1.0 / 256;
}

void expect_near(const c10::IValue& actual, const c10::IValue& exact, at::ScalarType dtype) {
  ASSERT_EQ(actual.toTensor().sizes(), exact.toTensor().sizes());
  const at::Tensor wanted = exact.toTensor().to(at::kDouble);
  const double largest = wanted.abs().max().item<double>();
  const double most = (actual.toTensor().to(at::kDouble) - wanted).abs().max().item<double>();
  EXPECT_LE(most, rounding_of(dtype) * std::max(largest, 1e-3)) << dtype;
}

/// Both kernels of the operator give the same but for rounding.
void expect_alike(const char* name, const Values& arguments, at::ScalarType dtype) {
  const Values actual = on_cuda(name, arguments), exact = on_cpu(name, exact_of(arguments));
  ASSERT_EQ(actual.size(), exact.size());
  for (size_t i = 0; i < actual.size(); ++i) {
    SCOPED_TRACE(::testing::Message() << name << ", result " << i);
    expect_near(actual[i], exact[i], dtype);
  }
}

class EmulatedCuda : public ::testing::Test {
 protected:
  void SetUp() override { at::manual_seed(5); }
};

TEST_F(EmulatedCuda, SwigluIsTheCpus) {
  for (const at::ScalarType dtype : kDtypes) {
    for (const int64_t count : {1, 15, 16, 4099}) {  // whole packs, and some more
      const auto draw = [&] { return at::randn({count}, at::kDouble).to(dtype); };
      const at::Tensor gate = draw(), up = draw(), grad = draw();
      expect_alike("longspan::swiglu", {gate, up}, dtype);
      expect_alike("longspan::swiglu_backward", {grad, gate, up}, dtype);
      const at::Tensor shifted = at::randn({count + 1}, at::kDouble).to(dtype).narrow(0, 1, count);
      expect_alike("longspan::swiglu", {shifted, up}, dtype);  // not on 16 bytes
    }
  }
}

TEST_F(EmulatedCuda, RmsNormIsTheCpus) {
  for (const at::ScalarType dtype : kDtypes) {
    // Rows of a warp each and of a block each, in packs and not.
    for (const auto& [rows, size] : {std::pair<int64_t, int64_t>{1, 3},
                                     {9, 64},
                                     {300, 33},
                                     {5, 2048},
                                     {3, 2056},
                                     {2, 2051},
                                     {40, 576}}) {
      SCOPED_TRACE(::testing::Message() << rows << " rows of " << size);
      for (const bool zero_centered : {false, true}) {
        const auto draw = [&](at::IntArrayRef sizes) {
          return at::randn(sizes, at::kDouble).to(dtype);
        };
        const at::Tensor x = draw({rows, size}), weight = draw({size}), grad = draw({rows, size});
        expect_alike("longspan::rms_norm", {x, weight, 1e-5, zero_centered}, dtype);
        const at::Tensor inverse_rms =
            on_cuda("longspan::rms_norm", {x, weight, 1e-5, zero_centered})[1].toTensor();
        expect_alike("longspan::rms_norm_backward",
                     {grad, x, weight, inverse_rms, zero_centered, /*wants_weight=*/true}, dtype);
      }
    }
  }
}

TEST_F(EmulatedCuda, RotationIsTheCpus) {
  for (const at::ScalarType dtype : kDtypes) {
    for (const auto& [size, half] :
         {std::pair<int64_t, int64_t>{64, 32}, {80, 40}, {96, 16}, {6, 3}, {10, 2}, {128, 64}}) {
      SCOPED_TRACE(::testing::Message() << size << " dimensions, " << half << " pairs turn");
      for (const int64_t tables : {1, 2}) {
        const at::Tensor projected = at::randn({2, 37, 5, size}, at::kDouble).to(dtype);
        const at::Tensor angles = at::randn({tables, 1, 37, half}, at::kDouble);
        const at::Tensor cos = angles.cos().to(dtype), sin = angles.sin().to(dtype);
        for (const bool inverse : {false, true}) {
          expect_alike("longspan::rotate_heads", {projected.transpose(1, 2), cos, sin, inverse},
                       dtype);
        }
      }
    }
  }
}

TEST_F(EmulatedCuda, Nf4IsTheCpusToTheBit) {
  const Nf4Weight weight = quantize_nf4(at::randn({96, 200}).to(at::kBFloat16));
  for (const at::ScalarType dtype : kDtypes) {
    SCOPED_TRACE(dtype);
    const auto values = [&](c10::DispatchKey key) {
      at::Tensor out = at::empty({96, 200}, dtype);
      const auto table = [](const auto& numbers) {
        return at::from_blob(const_cast<float*>(numbers.data()),
                             {static_cast<int64_t>(numbers.size())}, at::kFloat);
      };
      run("longspan::dequantize_nf4", key,
          {weight.codes, weight.scale_codes, weight.nested_scale,
           static_cast<double>(weight.offset), table(dynamic_map()), table(nf4_codebook()), out});
      return out;
    };
    EXPECT_TRUE(at::equal(values(c10::DispatchKey::CUDA), values(c10::DispatchKey::CPU)));
  }
}

TEST_F(EmulatedCuda, DropoutDrawsTheCpusElements) {
  for (const at::ScalarType dtype : kDtypes) {
    for (const int64_t columns : {8, 64, 37}) {
      SCOPED_TRACE(::testing::Message() << columns << " columns in " << dtype);
      const auto mask = [&](c10::DispatchKey key) {
        at::Tensor drawn = at::empty({50, columns}, dtype);
        run("longspan::draw_dropout", key,
            {drawn, int64_t{1234567890123}, int64_t{19661}, 1 / 0.7, int64_t{7}, int64_t{3},
             int64_t{11}});
        return drawn;
      };
      EXPECT_TRUE(at::equal(mask(c10::DispatchKey::CUDA), mask(c10::DispatchKey::CPU)));
    }
  }
}

TEST_F(EmulatedCuda, CrossEntropyIsTheCpus) {
  for (const at::ScalarType dtype : kDtypes) {
    for (const int64_t size : {1, 17, 40, 4096, 5003}) {
      SCOPED_TRACE(::testing::Message() << size << " logits in " << dtype);
      const at::Tensor logits = at::randn({5, size}, at::kDouble).mul(4).to(dtype);
      at::Tensor labels = at::randint(size, {5}, at::kLong);
      labels[3].fill_(-100);
      for (const bool gradient : {false, true}) {
        const at::Tensor mine = logits.clone(), theirs = logits.to(at::kDouble).clone();
        const Values losses = on_cuda("longspan::cross_entropy_rows", {mine, labels, gradient});
        const Values exact = on_cpu("longspan::cross_entropy_rows", {theirs, labels, gradient});
        // Losses are in float32 of logits in bfloat16 too.
        expect_near(losses[0], exact[0], dtype == at::kDouble ? at::kDouble : at::kFloat);
        expect_near(mine, theirs, dtype);
      }
    }
  }
}

}  // namespace
}  // namespace longspan
