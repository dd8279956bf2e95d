#include "trainer/eval/arms/branch_attention.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>

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

}  // namespace

at::Tensor BranchAttention::attend(const Heads& heads, const AttentionContext& context) const {
  std::vector<at::Tensor> rows;
  for (int64_t row = 0; row < heads.q.size(0); ++row) {
    const std::shared_ptr<LayerState> fork = read_.layers[context.layer]->fork();
    AttentionContext own = context;
    own.state = fork.get();
    own.kept = nullptr;
    own.first_position = read_.length();
    const auto row_of = [&](const at::Tensor& x) { return x.narrow(0, row, 1); };
    rows.push_back(pattern_->attend({row_of(heads.q), row_of(heads.k), row_of(heads.v)}, own));
  }
  return at::cat(rows);
}

at::Tensor branch_hidden_states(CausalLm& model, const at::Tensor& ids, const ModelState& state) {
  const int64_t first = state.length(), end = first + ids.size(1);
  if (ids.size(0) == 1 || first == 0 || reads_anew(model, state, end)) {
    std::vector<at::Tensor> rows;
    for (int64_t row = 0; row < ids.size(0); ++row) {
      ModelState own = state.fork();
      rows.push_back(model.hidden_states({ids.narrow(0, row, 1), {}, {}}, &own));
    }
    return at::cat(rows);
  }
  const ModelChange restored(model);
  model.set_attention(std::make_shared<BranchAttention>(model.shared_attention(), state));
  const at::Tensor positions = at::arange(first, end, ids.options()).unsqueeze(0);
  return model.hidden_states({ids, positions, {}, end});
}

}  // namespace longspan
