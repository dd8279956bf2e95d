#include "src/nn/chunked_cross_entropy.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/full_like.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/logsumexp.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>

namespace longspan {

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct ChunkLoss {
  at::Tensor scored;      // [n] bool
  at::Tensor target;      // [n, 1] int64, 0 where unscored
  at::Tensor logits;      // [n, V] float32
  at::Tensor normalizer;  // [n, 1] log-sum-exp of the logits
  at::Tensor losses;      // [n] float32, 0 where unscored
};

ChunkLoss chunk_loss(const at::Tensor& hidden, const at::Tensor& weight, const at::Tensor& labels) {
  ChunkLoss chunk;
  chunk.scored = labels.ne(kIgnoreIndex);
  chunk.target = labels.clamp_min(0).unsqueeze(1);
  chunk.logits = at::linear(hidden, weight).to(at::kFloat);
  chunk.normalizer = at::logsumexp(chunk.logits, 1, /*keepdim=*/true);
  chunk.losses =
      (chunk.normalizer - chunk.logits.gather(1, chunk.target)).squeeze(1).mul_(chunk.scored);
  return chunk;
}

/// softmax - one_hot(target), in place of the logits, rounded to `dtype`: d losses / d logits.
at::Tensor logits_gradient(ChunkLoss& chunk, at::ScalarType dtype) {
  at::Tensor gradient = chunk.logits.sub_(chunk.normalizer).exp_();
  gradient.scatter_add_(1, chunk.target, at::full_like(chunk.normalizer, -1.0));
  return gradient.mul_(chunk.scored.unsqueeze(1)).to(dtype);
}

class ChunkedCrossEntropy : public torch::autograd::Function<ChunkedCrossEntropy> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& hidden,
                            const at::Tensor& weight, const at::Tensor& labels,
                            int64_t chunk_tokens) {
    bool train_hidden = hidden.requires_grad(), train_weight = weight.requires_grad();
    at::Tensor sum = at::zeros({}, at::kDouble);
    at::Tensor hidden_gradient, weight_gradient;
    if (train_hidden) hidden_gradient = at::empty_like(hidden);
    if (train_weight) weight_gradient = at::zeros(weight.sizes(), at::kFloat);
    for (int64_t begin = 0; begin < hidden.size(0); begin += chunk_tokens) {
      int64_t rows = std::min(chunk_tokens, hidden.size(0) - begin);
      at::Tensor part = hidden.narrow(0, begin, rows);
      ChunkLoss chunk = chunk_loss(part, weight, labels.narrow(0, begin, rows));
      sum += chunk.losses.sum(at::kDouble);
      if (!train_hidden && !train_weight) continue;
      at::Tensor gradient = logits_gradient(chunk, hidden.scalar_type());
      chunk.logits.reset();
      if (train_hidden) {
        at::Tensor out = hidden_gradient.narrow(0, begin, rows);
        at::mm_out(out, gradient, weight);
      }
      if (train_weight) weight_gradient += at::mm(gradient.t(), part);
    }
    context->save_for_backward({hidden_gradient, weight_gradient});
    context->saved_data["dtype"] = static_cast<int64_t>(weight.scalar_type());
    return sum.to(at::kFloat);
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    auto saved = context->get_saved_variables();
    auto dtype = static_cast<at::ScalarType>(context->saved_data["dtype"].toInt());
    at::Tensor hidden, weight;
    if (saved[0].defined()) hidden = saved[0] * gradients[0].to(saved[0].scalar_type());
    if (saved[1].defined()) weight = (saved[1] * gradients[0]).to(dtype);
    return {hidden, weight, at::Tensor(), at::Tensor()};
  }
};

}  // namespace

at::Tensor chunked_cross_entropy_sum(const at::Tensor& hidden, const at::Tensor& weight,
                                     const at::Tensor& labels, int64_t chunk_tokens) {
  return ChunkedCrossEntropy::apply(hidden, weight, labels, chunk_tokens);
}

at::Tensor token_cross_entropy(const at::Tensor& hidden, const at::Tensor& weight,
                               const at::Tensor& labels, int64_t chunk_tokens) {
  at::NoGradGuard no_gradients;
  at::Tensor losses = at::zeros({hidden.size(0)}, at::kFloat);
  for (int64_t begin = 0; begin < hidden.size(0); begin += chunk_tokens) {
    int64_t rows = std::min(chunk_tokens, hidden.size(0) - begin);
    losses.narrow(0, begin, rows)
        .copy_(chunk_loss(hidden.narrow(0, begin, rows), weight, labels.narrow(0, begin, rows))
                   .losses);
  }
  return losses;
}

}  // namespace longspan
