#include "src/model/generate.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/argmax.h>
#include <ATen/ops/index_fill.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/sort.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "src/core/random.h"
#include "src/nn/row_product.h"

namespace longspan {

void check_generate_options(const GenerateOptions& options) {
  if (options.max_new_tokens < 1) {
    fail(ExitCode::kUsage, "generate: max_new_tokens {} is not positive", options.max_new_tokens);
  }
  constexpr double kLeastTemperature = 1e-6;  // scores divided by less are infinite in float32
  if (options.temperature != 0 && !(options.temperature >= kLeastTemperature)) {
    fail(ExitCode::kUsage, "generate: temperature {} is not 0 (greedy) or at least {}",
         options.temperature, kLeastTemperature);
  }
  if (!(options.top_p > 0 && options.top_p <= 1)) {
    fail(ExitCode::kUsage, "generate: top_p {} is not in (0, 1]", options.top_p);
  }
}

int64_t nucleus_size(const std::vector<float>& descending, double top_p) {
  double mass = 0;
  for (size_t i = 0; i < descending.size(); ++i) {
    mass += descending[i];
    if (mass >= top_p) return static_cast<int64_t>(i) + 1;
  }
  return static_cast<int64_t>(descending.size());
}

int64_t next_token(const at::Tensor& logits, const GenerateOptions& options,
                   std::mt19937_64& generator) {
  at::Tensor scores = logits.to(at::kCPU, at::kFloat).contiguous();
  if (!options.never.empty()) {
    scores = scores.index_fill(0, at::tensor(options.never, at::kLong),
                               -std::numeric_limits<float>::infinity());
  }
  int64_t best = scores.argmax().item<int64_t>();  // NaN counts as the largest
  if (!std::isfinite(scores[best].item<float>())) {
    fail(ExitCode::kNonFinite,
         "generate: the model's logits are not finite; try --dtype float32, or look at the model "
         "with 'longspan inspect'");
  }
  if (options.temperature == 0) return best;

  auto [sorted, order] = at::softmax(scores / options.temperature, -1).sort(-1, true);
  std::vector<float> probabilities(sorted.data_ptr<float>(),
                                   sorted.data_ptr<float>() + sorted.numel());
  int64_t kept = nucleus_size(probabilities, options.top_p);
  double mass = 0;
  for (int64_t i = 0; i < kept; ++i) mass += probabilities[i];
  double draw = draw_uniform(generator) * mass;
  int64_t chosen = 0;
  for (double below = probabilities[0]; chosen + 1 < kept && below <= draw;) {
    below += probabilities[++chosen];
  }
  return order[chosen].item<int64_t>();
}

at::Tensor prefill(CausalLm& model, const std::vector<int64_t>& ids, ModelState& state,
                   int64_t chunk_tokens) {
  if (ids.empty()) fail(ExitCode::kUsage, "generate: the prompt is empty, expected some text");
  at::NoGradGuard no_gradients;
  const at::AutoDispatchBelowADInplaceOrView without_autograd;
  at::Tensor all = at::tensor(ids, at::kLong).unsqueeze(0).to(model.lm_head_weight().device());
  int64_t sequence_length = state.length() + all.size(1);
  at::Tensor last;
  for (int64_t begin = 0; begin < all.size(1); begin += chunk_tokens) {
    int64_t tokens = std::min(chunk_tokens, all.size(1) - begin);
    at::Tensor hidden =
        model.hidden_states({all.narrow(1, begin, tokens), {}, {}, sequence_length}, &state);
    last = hidden.select(1, tokens - 1);
  }
  return last;
}

std::vector<int64_t> generate(CausalLm& model, const std::vector<int64_t>& prompt,
                              const GenerateOptions& options,
                              const std::function<bool(int64_t)>& on_token, ModelState* state) {
  check_generate_options(options);
  at::NoGradGuard no_gradients;
  // One token is thousands of small operations, to which LibTorch's bookkeeping for gradients adds
  // a tenth.
  const at::AutoDispatchBelowADInplaceOrView without_autograd;
  const auto& eos = model.config().eos_token_ids;
  std::mt19937_64 generator(options.seed);
  ModelState own_state;
  if (!state) state = &own_state;

  std::vector<int64_t> generated;
  std::vector<int64_t> unread = prompt;
  while (static_cast<int64_t>(generated.size()) < options.max_new_tokens) {
    at::Tensor hidden = prefill(model, unread, *state, options.prefill_chunk_tokens);
    at::Tensor logits = apply_linear(hidden, model.lm_head_weight()).squeeze(0);  // [V]
    int64_t id = next_token(logits, options, generator);
    if (std::find(eos.begin(), eos.end(), id) != eos.end()) break;
    generated.push_back(id);
    if (on_token && !on_token(id)) break;
    unread = {id};
  }
  return generated;
}

}  // namespace longspan
