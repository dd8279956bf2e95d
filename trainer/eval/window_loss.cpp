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
  at::Tensor input = at::tensor(ids, at::kLong).unsqueeze(0).to(head.device());  // [1, L]
  at::Tensor hidden = model.hidden_states({input, {}, {}}).squeeze(0);           // [L, C]
  auto length = static_cast<int64_t>(ids.size());
  // The row before a token predicts it.
  at::Tensor rows = hidden.narrow(0, length - 1 - targets, targets);
  at::Tensor labels = input.squeeze(0).narrow(0, length - targets, targets);
  at::Tensor losses = token_cross_entropy(rows, head, labels).to(at::kCPU, at::kDouble);
  const auto* first = losses.const_data_ptr<double>();
  return {first, first + targets};
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
