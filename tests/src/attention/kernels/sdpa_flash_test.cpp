// LibTorch's flash attention of runs that begin at their own query, on the CPU, whichever it is; on
// CUDA attention_gradients_test.cpp has it.

#include "src/attention/kernels/sdpa_flash.h"

#include "tests/src/attention/kernels/attention_cases.h"
#include "tests/support/processors.h"

namespace longspan {
namespace {

/// In which every interval begins at its own query, or with that of the query before.
std::vector<Case> cases_of_runs() {
  return {{"full", 1, 4, 2, 1000, 1000, 64, full},
          {"full", 1, 4, 4, 333, 333, 128, full},
          {"full, two rows", 2, 2, 2, 97, 97, 80, full},
          {"one query", 1, 2, 1, 1, 1, 64, full},
          {"shifted", 1, 9, 3, 777, 777, 64, shifted_groups(256, 4)},
          {"shifted, whole groups", 1, 8, 8, 1024, 1024, 64, shifted_groups(256, 4)},
          {"shifted by whole sets of heads", 2, 4, 2, 611, 611, 128, shifted_groups(130, 2)},
          {"documents", 2, 4, 2, 901, 901, 64, documents({1, 7, 129, 400, 401, 650})}};
}

TEST_F(IntervalAttention, OfLibTorchsFlashKernelIsWithinRoundingOfItsDefinition) {
  at::manual_seed(3);
  for (const Case& c : cases_of_runs()) {
    SCOPED_TRACE(::testing::PrintToString(c));
    const Operands operands = operands_of(c);
    const Results exact = run(operands.to(at::kDouble), plain_attention);
    for (auto [dtype, bound] : {std::pair{at::kBFloat16, 0.006}, {at::kFloat, 1e-6}}) {
      const Operands o = operands.to(dtype);
      const AttentionResult made = sdpa_flash_forward(o.q, o.k, o.v, o.visible.begin);
      const AttentionGradients grad =
          sdpa_flash_backward(o.grad_out, o.q, o.k, o.v, o.visible.begin, made);
      const at::Tensor results[] = {made.out, grad.q, grad.k, grad.v};
      for (int i = 0; i < 4; ++i) {
        ASSERT_EQ(results[i].sizes(), exact.tensors[i].sizes());
        if (exact.tensors[i].norm().item<double>() < 1e-6) continue;
        EXPECT_LE(relative_error(results[i], exact.tensors[i]), bound)
            << kResultNames[i] << " in " << dtype;
      }
    }
  }
}

TEST_F(IntervalAttention, OfLibTorchsFlashKernelRefusesOtherIntervals) {
  const Operands window = operands_of({"window", 1, 4, 2, 90, 90, 64, sliding_window(10)});
  EXPECT_THROW(sdpa_flash_forward(window.q, window.k, window.v, window.visible.begin), c10::Error);
  const Operands cache = operands_of({"after a cache", 1, 2, 1, 5, 9, 64, full});
  EXPECT_THROW(sdpa_flash_forward(cache.q, cache.k, cache.v, cache.visible.begin), c10::Error);
}

TEST_F(IntervalAttention, IsLibTorchsWhereAmxIsNamed) {
  const Operands runs = operands_of(cases_of_runs()[4]);
  {
    const ForcedProcessor own("none");
    EXPECT_FALSE(sdpa_flash_supports(runs.q, runs.k, runs.visible));
  }
  const bool amx = beyond_this_processor("amx").empty();
  const ForcedProcessor named(amx ? "amx" : "none");
  EXPECT_EQ(sdpa_flash_supports(runs.q, runs.k, runs.visible), amx);
  const Operands wide = runs.to(at::kFloat);
  EXPECT_FALSE(sdpa_flash_supports(wide.q, wide.k, wide.visible));
  const Operands window = operands_of({"window", 1, 4, 2, 90, 90, 64, sliding_window(10)});
  EXPECT_FALSE(sdpa_flash_supports(window.q, window.k, window.visible));
}

}  // namespace
}  // namespace longspan
