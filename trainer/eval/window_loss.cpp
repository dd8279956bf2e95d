#include "trainer/eval/window_loss.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/tensor.h>

#include <algorithm>

#include "src/core/text.h"
#include "src/nn/chunked_cross_entropy.h"
#include "trainer/eval/statistics.h"

namespace longspan {

std::vector<double> window_losses(CausalLm& model, const std::vector<int64_t>& ids,
                                  int64_t targets) {
  at::NoGradGuard no_gradients;
  const at::Tensor& head = model.lm_head_weight();
  const at::Tensor input = at::tensor(ids, at::kLong).to(head.device());  // [L]
  const int64_t length = std::ssize(ids);
  const std::vector<int64_t> passes = model.attention().reading_passes(length);
  ModelState state;
  std::vector<double> losses;
  int64_t begin = 0;
  for (const int64_t tokens : passes) {
    const at::Tensor hidden =
        model.hidden_states({input.narrow(0, begin, tokens).unsqueeze(0), {}, {}, length},
                            passes.size() > 1 ? &state : nullptr);  // [1, tokens, C]
    // The row before a token predicts it.
    const int64_t first = std::max(begin, length - 1 - targets);
    const int64_t rows = std::min(begin + tokens, length - 1) - first;
    if (rows > 0) {
      const at::Tensor of_pass =
          token_cross_entropy(hidden.squeeze(0).narrow(0, first - begin, rows), head,
                              input.narrow(0, first + 1, rows))
              .to(at::kCPU, at::kDouble);
      const auto* nll = of_pass.const_data_ptr<double>();
      losses.insert(losses.end(), nll, nll + rows);
    }
    begin += tokens;
  }
  return losses;
}

double window_loss(CausalLm& model, const std::vector<int64_t>& ids, int64_t targets) {
  return mean(window_losses(model, ids, targets));
}

std::vector<std::vector<int64_t>> first_windows(const TokenStore& store, int64_t length,
                                                int64_t documents) {
  std::vector<std::vector<int64_t>> windows;
  int64_t longest = 0;
  for (const auto& document : store.documents()) {
    longest = std::max(longest, document.tokens);
    if (document.tokens < length) continue;
    auto ids = store.read(document.offset, length);
    windows.emplace_back(ids.begin(), ids.end());
    if (std::ssize(windows) == documents) break;
  }
  if (windows.empty()) {
    fail(ExitCode::kData,
         "no document of the token store has {} tokens, the longest has {}; give longer documents "
         "or a smaller --length",
         human_count(length), human_count(longest));
  }
  return windows;
}

}  // namespace longspan
