#include "src/nn/recompute.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/add.h>
#include <ATen/ops/empty_like.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/functions/utils.h>

#include <algorithm>
#include <optional>

#include "src/nn/activation_store.h"
#include "src/nn/autograd_node.h"
#include "src/nn/gradient_sums.h"
#include "src/nn/linear.h"
#include "src/nn/token_chunks.h"
#include "src/nn/weight_residency.h"

namespace longspan {

namespace {

using torch::autograd::variable_list;

/// A tensor where it was made or in the store.
class Kept {
 public:
  Kept() = default;
  Kept(at::Tensor tensor, ActivationStore* store) : store_(tensor.defined() ? store : nullptr) {
    if (store_) {
      ticket_ = store_->put(std::move(tensor));
    } else {
      tensor_ = std::move(tensor);
    }
  }
  at::Tensor take() { return store_ ? store_->take(ticket_) : std::move(tensor_); }

 private:
  at::Tensor tensor_;
  ActivationStore* store_ = nullptr;
  ActivationStore::Ticket ticket_ = 0;
};

/// [B, H, T, D] from [B, T, H, D] or back: as its memory lies, attention's output needs no copy on
/// its way to a file and from there to o_proj.
at::Tensor heads_first(const at::Tensor& x) { return x.defined() ? x.transpose(1, 2) : x; }

at::Tensor through(const ResidualBlock& block, const at::Tensor& x, AttentionResult* kept) {
  at::Tensor y = block.body(x, kept);
  return block.linear ? block.linear->forward(y) : y;
}

bool is_one_chunk(const ResidualBlock& block, const at::Tensor& x) {
  return block.chunk_tokens <= 0 || block.chunk_tokens >= x.size(1);
}

/// x + linear(body(x)) without gradients.
at::Tensor forward(const ResidualBlock& block, const at::Tensor& x, AttentionResult* kept) {
  if (is_one_chunk(block, x)) {
    at::Tensor y = through(block, x, kept);
    // A body may hand on what it keeps; what a linear made is nobody else's.
    return block.linear ? y.add_(x) : x + y;
  }
  at::Tensor y = at::empty_like(x);
  each_chunk(x.size(1), block.chunk_tokens, [&](int64_t begin, int64_t count) {
    at::Tensor part = x.narrow(1, begin, count);
    at::Tensor out = y.narrow(1, begin, count);
    at::add_out(out, part, through(block, part, kept));
  });
  return y;
}

/// A body that ran with gradients: its input, detached, and its output with the graph.
struct Recorded {
  at::Tensor x, y;
};

/// `kept` as forward left it.
Recorded record(const ResidualBlock& block, const at::Tensor& x, AttentionResult* kept,
                bool wants_x) {
  at::AutoGradMode with_gradients(true);
  at::Tensor input = x.detach().requires_grad_(wants_x);
  return {input, block.body(input, kept)};
}

/// The gradient of x without that of the residual, undefined unless wants_x. Frees the graph.
at::Tensor body_backward(const ResidualBlock& block, const Recorded& recorded,
                         const at::Tensor& grad_y, bool wants_x) {
  at::AutoGradMode with_gradients(true);
  at::Tensor y = recorded.y, grad = grad_y;
  if (block.linear && block.linear->is_frozen()) {
    grad = project_backward(y.detach(), {block.linear}, {grad_y}, y.requires_grad());
  } else if (block.linear) {
    y = block.linear->forward(y);
  }
  if (y.requires_grad()) torch::autograd::backward({y}, {grad});
  return wants_x ? recorded.x.grad() : at::Tensor();
}

/// The gradient of x for that of y = x + linear(body(x)).
at::Tensor backward(const ResidualBlock& block, const Recorded& recorded, const at::Tensor& grad_y,
                    bool wants_x) {
  at::Tensor grad = body_backward(block, recorded, grad_y, wants_x);
  return wants_x ? grad.add_(grad_y) : grad;
}

/// The same where the body has yet to run again.
at::Tensor backward(const ResidualBlock& block, const at::Tensor& x, const at::Tensor& grad_y,
                    AttentionResult* kept, bool wants_x) {
  if (is_one_chunk(block, x)) {
    return backward(block, record(block, x, kept, wants_x), grad_y, wants_x);
  }
  at::Tensor grad_x = wants_x ? at::empty_like(x) : at::Tensor();
  GradientSums sums(block.trained);
  each_chunk(x.size(1), block.chunk_tokens, [&](int64_t begin, int64_t count) {
    at::Tensor part = grad_y.narrow(1, begin, count);
    at::Tensor grad = body_backward(block, record(block, x.narrow(1, begin, count), kept, wants_x),
                                    part, wants_x);
    sums.collect();
    if (!wants_x) return;
    at::Tensor out = grad_x.narrow(1, begin, count);
    at::add_out(out, part, grad);
  });
  sums.give_back();
  return grad_x;
}

/// Says when the weights of a layer are in use.
class WeightUse {
 public:
  WeightUse(const RecomputeOptions& options, size_t layer)
      : residency_(options.residency.get()), layer_(layer) {
    if (residency_) residency_->will_use(layer_);
  }
  ~WeightUse() {
    if (residency_) residency_->used(layer_);
  }
  WeightUse(const WeightUse&) = delete;
  WeightUse& operator=(const WeightUse&) = delete;

 private:
  WeightResidency* residency_;
  size_t layer_;
};

/// Backward of a recomputed layer. A Node of our own and not an autograd::Function, because it must
/// run even when x needs no gradient: the layer's parameters do.
struct LayerBackward : public torch::autograd::Node {
  std::vector<ResidualBlock> blocks;
  RecomputeOptions options;
  size_t layer = 0;
  struct Inputs {
    Kept x, attended;
    at::Tensor log_sum_exp;
  };
  std::vector<Inputs> kept;  // of each block

  /// What a block's backward begins with: its input and attention's result, or the body's graph.
  struct Again {
    at::Tensor x;
    AttentionResult attention;
    std::optional<Recorded> recorded;
  };

  std::string name() const override { return "LayerBackward"; }
  void release_variables() override {
    blocks.clear();
    kept.clear();
  }

  bool keeps_each_input() const { return options.what == Recompute::kSelective; }

  /// Forward without gradients.
  at::Tensor run(at::Tensor x) {
    ActivationStore* store = options.store.get();
    const bool keeps_attention = options.what != Recompute::kLayer;
    for (const ResidualBlock& block : blocks) {
      AttentionResult attention;
      at::Tensor y = forward(block, x, keeps_attention ? &attention : nullptr);
      const bool keeps_input = kept.empty() || keeps_each_input();
      kept.push_back({keeps_input ? Kept(x, store) : Kept(),
                      Kept(heads_first(attention.out), store), attention.log_sum_exp});
      x = std::move(y);
    }
    return x;
  }

  Again take(size_t i) {
    AttentionResult attention{heads_first(kept[i].attended.take()), kept[i].log_sum_exp};
    return {kept[i].x.take(), std::move(attention), {}};
  }

  /// All blocks, from the first one's input on: each body before the last runs with gradients, its
  /// linear without.
  std::vector<Again> run_again(bool wants_x) {
    std::vector<Again> again;
    at::Tensor x;
    for (size_t i = 0; i < blocks.size(); ++i) {
      const ResidualBlock& block = blocks[i];
      again.push_back(take(i));
      Again& made = again.back();
      if (i > 0) made.x = x;
      if (i + 1 == blocks.size()) break;
      if (!is_one_chunk(block, made.x)) {
        x = forward(block, made.x, nullptr);
        continue;
      }
      made.recorded = record(block, made.x, &made.attention, i > 0 || wants_x);
      const at::Tensor y = made.recorded->y.detach();
      x = block.linear ? block.linear->forward(y).add_(made.x) : made.x + y;
      made.attention = {};
    }
    return again;
  }

  variable_list apply(variable_list&& gradients) override {
    at::NoGradGuard no_gradients;
    WeightUse use(options, layer);
    const bool wants_first = task_should_compute_output(0);
    std::vector<Again> again;
    if (!keeps_each_input()) again = run_again(wants_first);
    at::Tensor grad = std::move(gradients[0]);
    for (size_t i = blocks.size(); i-- > 0;) {
      const bool wants_x = i > 0 || wants_first;
      Again made = keeps_each_input() ? take(i) : std::move(again[i]);
      grad = made.recorded ? backward(blocks[i], *made.recorded, grad, wants_x)
                           : backward(blocks[i], made.x, grad, &made.attention, wants_x);
    }
    return {grad};
  }
};

/// The first block that backward must reach: those before it neither train nor hand a gradient on.
std::vector<ResidualBlock>::iterator first_to_record(std::vector<ResidualBlock>& blocks,
                                                     const at::Tensor& x) {
  if (!at::GradMode::is_enabled()) return blocks.end();
  if (x.requires_grad()) return blocks.begin();
  return std::find_if(blocks.begin(), blocks.end(),
                      [](const ResidualBlock& block) { return !block.trained.empty(); });
}

}  // namespace

at::Tensor run_layer(std::vector<ResidualBlock> blocks, const at::Tensor& input,
                     const RecomputeOptions& options, size_t layer) {
  WeightUse use(options, layer);
  const auto first = first_to_record(blocks, input);
  at::Tensor x = input;
  for (auto block = blocks.begin(); block != first; ++block) {
    at::NoGradGuard no_gradients;
    x = forward(*block, x, nullptr);
  }
  blocks.erase(blocks.begin(), first);
  if (blocks.empty()) return x;
  const Recompute what = layer < options.num_layers ? options.what : options.rest;
  if (what == Recompute::kNone) {
    for (const auto& block : blocks) x = x + through(block, x, nullptr);
    return x;
  }
  auto node = make_autograd_node<LayerBackward>();
  node->set_next_edges(torch::autograd::collect_next_edges(x));
  node->blocks = std::move(blocks);
  node->options = options;
  node->options.what = what;
  node->layer = layer;
  at::Tensor y;
  {
    at::NoGradGuard no_gradients;
    y = node->run(x.detach());
  }
  torch::autograd::set_history(y, node);
  return y;
}

}  // namespace longspan
