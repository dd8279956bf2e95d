// Attention where it is LibTorch's: scaled_dot_product_attention taken apart into intervals without
// a processor's kernel and on CUDA, its flash kernel on CUDA and with AMX. FlashAttentionOn has our
// kernels.

#include "tests/src/attention/kernels/attention_cases.h"
#include "tests/support/devices.h"
#include "tests/support/gradcheck.h"

namespace longspan {
namespace {

std::vector<Case> small_cases() {
  const Interval packed = documents({1, 4, 9});
  return {
      {"full", 2, 4, 2, 11, 11, 4, full},
      {"full after a cache", 1, 2, 1, 5, 9, 4, full},
      {"shifted", 1, 3, 3, 14, 14, 4, shifted_groups(4, 1)},
      {"shifted", 1, 9, 3, 14, 14, 4, shifted_groups(6, 4)},
      {"shifted by whole sets of heads", 1, 6, 3, 14, 14, 4, shifted_groups(4, 4)},
      {"documents", 2, 4, 2, 17, 17, 4, packed},
      {"window", 1, 4, 2, 13, 13, 4, sliding_window(5)},
      {"window and sinks in documents", 1, 2, 1, 17, 17, 4, window_within(packed, 3), 2, packed}};
}

class IntervalAttentionOn : public OnDevice {
 protected:
  static Operands on_device(const Operands& o) {
    const auto moved = [](const at::Tensor& x) { return x.defined() ? x.to(device()) : x; };
    return {moved(o.q),
            moved(o.k),
            moved(o.v),
            moved(o.grad_out),
            {.begin = moved(o.visible.begin), .sinks = moved(o.visible.sinks)}};
  }
};

TEST_P(IntervalAttentionOn, HasTheGradientsOfItsDifferences) {
  at::manual_seed(3);
  for (const Case& c : small_cases()) {
    SCOPED_TRACE(::testing::PrintToString(c));
    const Operands operands = on_device(operands_of(c));
    expect_gradients_as_by_differences(
        [&](const std::vector<at::Tensor>& in) { return attention(in[0], in[1], in[2], operands); },
        {operands.q, operands.k, operands.v});
  }
}

TEST_P(IntervalAttentionOn, IsWithinRoundingOfItsDefinition) {
  const OneThread one_thread;
  at::manual_seed(3);
  for (const Case& c : cases()) {
    SCOPED_TRACE(::testing::PrintToString(c));
    const Operands operands = operands_of(c);
    const Results exact = run(operands.to(at::kDouble), plain_attention);
    for (auto [dtype, bound] : {std::pair{at::kBFloat16, 0.006}, {at::kFloat, 1e-6}}) {
      const Results result = run(on_device(operands.to(dtype)), attention);
      for (int i = 0; i < 4; ++i) {
        if (exact.tensors[i].norm().item<double>() < 1e-6) continue;
        EXPECT_LE(relative_error(result.tensors[i], exact.tensors[i]), bound)
            << kResultNames[i] << " in " << dtype;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Devices, IntervalAttentionOn, ::testing::Values("none", "amx", "CUDA"),
                         [](const auto& name) { return std::string(name.param); });

}  // namespace
}  // namespace longspan
