#include "src/nn/recompute.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/add.h>
#include <ATen/ops/empty_like.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/functions/utils.h>

#include <algorithm>

#include "src/nn/activation_store.h"
#include "src/nn/autograd_node.h"
#include "src/nn/linear.h"
#include "src/nn/token_chunks.h"
#include "src/nn/weight_residency.h"

namespace longspan {

namespace {

using torch::autograd::variable_list;

/// A tensor where it was made or in the store, which is in the memory of the CPU.
class Kept {
 public:
  Kept() = default;
  Kept(at::Tensor tensor, ActivationStore* store) : store_(tensor.defined() ? store : nullptr) {
    if (store_) {
      device_ = tensor.device();
      ticket_ = store_->put(tensor.cpu());
    } else {
      tensor_ = std::move(tensor);
    }
  }
  at::Tensor take() { return store_ ? store_->take(ticket_).to(device_) : std::move(tensor_); }

 private:
  at::Tensor tensor_;
  ActivationStore* store_ = nullptr;
  at::Device device_ = at::kCPU;
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

/// The gradient of x without that of the residual, undefined unless wants_x; `kept` as forward left
/// it.
at::Tensor body_backward(const ResidualBlock& block, const at::Tensor& x, const at::Tensor& grad_y,
                         AttentionResult* kept, bool wants_x) {
  at::AutoGradMode with_gradients(true);
  at::Tensor input = x.detach().requires_grad_(wants_x);
  at::Tensor y = block.body(input, kept);
  at::Tensor grad = grad_y;
  if (block.linear && block.linear->is_frozen()) {
    grad = project_backward(y.detach(), {block.linear}, {grad_y}, y.requires_grad());
  } else if (block.linear) {
    y = block.linear->forward(y);
  }
  if (y.requires_grad()) torch::autograd::backward({y}, {grad});
  return wants_x ? input.grad() : at::Tensor();
}

/// The gradient of x for that of y = x + linear(body(x)).
at::Tensor backward(const ResidualBlock& block, const at::Tensor& x, const at::Tensor& grad_y,
                    AttentionResult* kept, bool wants_x) {
  at::NoGradGuard no_gradients;
  if (is_one_chunk(block, x)) {
    at::Tensor grad = body_backward(block, x, grad_y, kept, wants_x);
    return wants_x ? grad.add_(grad_y) : grad;
  }
  at::Tensor grad_x = wants_x ? at::empty_like(x) : at::Tensor();
  GradientSums sums(block.trained);
  each_chunk(x.size(1), block.chunk_tokens, [&](int64_t begin, int64_t count) {
    at::Tensor part = grad_y.narrow(1, begin, count);
    at::Tensor grad = body_backward(block, x.narrow(1, begin, count), part, kept, wants_x);
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
  std::vector<Inputs> kept;  // of each block, or of the first alone

  std::string name() const override { return "LayerBackward"; }
  void release_variables() override {
    blocks.clear();
    kept.clear();
  }

  /// Forward without gradients; with_last: the output of the last block too.
  at::Tensor run(at::Tensor x, bool keep_all, bool with_last) {
    ActivationStore* store = options.store.get();
    for (size_t i = 0; i < blocks.size(); ++i) {
      AttentionResult attention;
      at::Tensor y;
      if (i + 1 < blocks.size() || with_last) {
        y = forward(blocks[i], x, keep_all ? &attention : nullptr);
      }
      if (keep_all || i == 0) {
        kept.push_back(
            {Kept(x, store), Kept(heads_first(attention.out), store), attention.log_sum_exp});
      }
      x = std::move(y);
    }
    return x;
  }

  variable_list apply(variable_list&& gradients) override {
    at::NoGradGuard no_gradients;
    WeightUse use(options, layer);
    if (kept.size() < blocks.size()) {
      at::Tensor x = kept[0].x.take();
      kept.clear();
      options.store = nullptr;  // what is made again is used at once
      run(std::move(x), /*keep_all=*/true, /*with_last=*/false);
    }
    at::Tensor grad = std::move(gradients[0]);
    const bool wants_x = task_should_compute_output(0);
    for (size_t i = blocks.size(); i-- > 0;) {
      AttentionResult attention{heads_first(kept[i].attended.take()), kept[i].log_sum_exp};
      at::Tensor x = kept[i].x.take();
      kept.pop_back();
      grad = backward(blocks[i], x, grad, &attention, i > 0 || wants_x);
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
  if (options.what == Recompute::kNone || layer >= options.num_layers) {
    for (const auto& block : blocks) x = x + through(block, x, nullptr);
    return x;
  }
  auto node = make_autograd_node<LayerBackward>();
  node->set_next_edges(torch::autograd::collect_next_edges(x));
  node->blocks = std::move(blocks);
  node->options = options;
  node->layer = layer;
  at::Tensor y;
  {
    at::NoGradGuard no_gradients;
    y = node->run(x.detach(), options.what == Recompute::kSelective, /*with_last=*/true);
  }
  torch::autograd::set_history(y, node);
  return y;
}

}  // namespace longspan
