#include "trainer/eval/arms/branch_attention.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/constant_pad_nd.h>

#include <algorithm>

#include "trainer/eval/arms/model_change.h"

namespace longspan {

namespace {

/// Beyond its original length LongRoPE has other frequencies: the model then reads anew what the
/// state holds, which no pass over rows of their own does.
bool reads_anew(const CausalLm& model, const ModelState& state, int64_t length) {
  const ModelConfig& config = model.config();
  if (config.rope_scaling->rope_type() != "longrope") return false;
  const int64_t original = config.rope_geometry().max_position_embeddings;
  return state.rope_length <= original && model.attention().rope_length(length) > original;
}

/// Whether sequences of both lengths turn their keys alike: those of RoPE "dynamic" do not.
bool turn_alike(const CausalLm& model, int64_t a, int64_t b) {
  const ModelConfig& config = model.config();
  const auto at_length = [&](int64_t length) {
    return config.rope_scaling->frequencies(config.rope_geometry(),
                                            model.attention().rope_length(length));
  };
  const RopeFrequencies of_a = at_length(a), of_b = at_length(b);
  return of_a.inv_freq == of_b.inv_freq && of_a.attention_factor == of_b.attention_factor;
}

/// x [.., T, C] with zeros behind its T.
at::Tensor padded(const at::Tensor& x, int64_t size) {
  const int64_t missing = size - x.size(-2);
  return missing == 0 ? x : at::constant_pad_nd(x, {0, 0, 0, missing});
}

}  // namespace

at::Tensor BranchAttention::attend(const Heads& heads, const AttentionContext& context) const {
  const int64_t first = read_.length(), longest = heads.q.size(2);
  std::vector<at::Tensor> rows;
  for (int64_t row = 0; row < heads.q.size(0); ++row) {
    const int64_t tokens = lengths_[row];
    const at::Tensor positions =
        at::arange(first, first + tokens, heads.q.options().dtype(at::kLong)).unsqueeze(0);
    const Rotary turned = tokens == longest ? context.rotary : context.rotary.at(positions);
    const std::shared_ptr<LayerState> fork = read_.layers[context.layer]->fork();
    const auto row_of = [&](const at::Tensor& x) {
      return x.narrow(0, row, 1).narrow(2, 0, tokens);
    };
    const at::Tensor out = pattern_->attend({row_of(heads.q), row_of(heads.k), row_of(heads.v)},
                                            {.rotary = turned,
                                             .document_ids = {},
                                             .state = fork.get(),
                                             .sliding_window = context.sliding_window,
                                             .layer = context.layer,
                                             .first_position = first,
                                             .sequence_length = first + tokens});
    rows.push_back(padded(out, longest));
  }
  return at::cat(rows);
}

at::Tensor branch_hidden_states(CausalLm& model, const at::Tensor& ids,
                                const std::vector<int64_t>& lengths, const ModelState& state) {
  const int64_t first = state.length(), end = first + ids.size(1);
  const int64_t shortest = *std::ranges::min_element(lengths);
  if (ids.size(0) == 1 || first == 0 || reads_anew(model, state, end) ||
      !turn_alike(model, first + shortest, end)) {
    std::vector<at::Tensor> rows;
    for (int64_t row = 0; row < ids.size(0); ++row) {
      ModelState own = state.fork();
      const at::Tensor of_row = ids.narrow(0, row, 1).narrow(1, 0, lengths[row]);
      rows.push_back(padded(model.hidden_states({of_row, {}, {}}, &own), ids.size(1)));
    }
    return at::cat(rows);
  }
  const ModelChange restored(model);
  model.set_attention(std::make_shared<BranchAttention>(model.shared_attention(), state, lengths));
  const at::Tensor positions = at::arange(first, end, ids.options()).unsqueeze(0);
  return model.hidden_states({ids, positions, {}, end});
}

}  // namespace longspan
