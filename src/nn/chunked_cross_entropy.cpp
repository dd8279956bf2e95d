#include "src/nn/chunked_cross_entropy.h"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/full_like.h>
#include <ATen/ops/logsumexp.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include <algorithm>
#include <cstddef>

#include "src/nn/kernels/elementwise.h"
#include "src/nn/token_chunks.h"
#include "src/simd/operators.h"

namespace longspan {

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// The labels of all rows where the hidden states are, contiguous; looked at where they come from,
/// once: to ask a GPU costs a wait for all it was told to do.
at::Tensor checked_labels(const at::Tensor& labels, const at::Tensor& hidden,
                          const at::Tensor& weight) {
  const at::Tensor target = labels.masked_fill(labels.eq(kIgnoreIndex), 0);
  const at::Tensor unknown = target.lt(0).logical_or(target.ge(weight.size(0)));
  TORCH_CHECK(!unknown.any().item<bool>(), "cross entropy: label ",
              target.masked_select(unknown)[0].item<int64_t>(), " is neither ", kIgnoreIndex,
              " nor one of the ", weight.size(0), " logits");
  return labels.to(hidden.device(), labels.scalar_type(), /*non_blocking=*/true).contiguous();
}

// Losses [n] of logits [n, V], in float32 (float64 in float64). With `gradient` the logits become
// d losses / d logits: softmax - one_hot(label), in place. Rows with kIgnoreIndex have neither. All
// are contiguous.
using CrossEntropyRows = at::Tensor(at::Tensor logits, const at::Tensor& labels, bool gradient);

at::Tensor cross_entropy_rows(const at::Tensor& logits, const at::Tensor& labels, bool gradient) {
  static const auto op = find_operator<CrossEntropyRows>("longspan::cross_entropy_rows");
  return op.call(logits, labels, gradient);
}

at::Tensor cross_entropy_on_cpu(at::Tensor logits, const at::Tensor& labels, bool gradient) {
  if (const auto* kernels = elementwise::kernels_for(logits)) {
    auto* first = static_cast<std::byte*>(logits.mutable_data_ptr());
    const int64_t size = logits.size(1);
    at::Tensor losses = at::empty(labels.sizes(), logits.options().dtype(at::kFloat));
    at::parallel_for(0, logits.size(0), /*grain_size=*/1, [&](int64_t begin, int64_t end) {
      kernels->cross_entropy_rows(first + begin * size * logits.element_size(),
                                  labels.const_data_ptr<int64_t>() + begin, end - begin, size,
                                  gradient, losses.mutable_data_ptr<float>() + begin);
    });
    return losses;
  }
  const at::Tensor ignored = labels.eq(kIgnoreIndex);
  const at::Tensor target = labels.masked_fill(ignored, 0).unsqueeze(1);
  const at::Tensor scored = ignored.logical_not().unsqueeze(1);
  at::Tensor values = exact(logits);
  at::Tensor normalizer = at::logsumexp(values, 1, /*keepdim=*/true);
  at::Tensor losses = (normalizer - values.gather(1, target)).mul_(scored).squeeze(1);
  if (gradient) {
    values.sub_(normalizer).exp_().scatter_add_(1, target, at::full_like(normalizer, -1.0));
    logits.copy_(values.mul_(scored));
  }
  return losses;
}

/// Calls visit(first row, logits [n, V] in the dtype of `hidden`) for chunks of rows; all share one
/// buffer.
template <class Visit>
void visit_logits(const at::Tensor& hidden, const at::Tensor& weight, int64_t chunk_tokens,
                  const Visit& visit) {
  TORCH_CHECK(chunk_tokens > 0, "cross entropy: chunk_tokens ", chunk_tokens,
              "; expected more than 0");
  const int64_t tokens = hidden.size(0);
  chunk_tokens = loss_chunk_rows(hidden.device(), chunk_tokens, weight.size(0));
  at::Tensor buffer = at::empty({std::min(chunk_tokens, tokens), weight.size(0)}, hidden.options());
  each_chunk(tokens, chunk_tokens, [&](int64_t begin, int64_t rows) {
    at::Tensor logits = buffer.narrow(0, 0, rows);
    at::mm_out(logits, hidden.narrow(0, begin, rows), weight.t());
    visit(begin, logits);
  });
}

/// sum [V, C] += gradient [n, V]^T hidden [n, C], some rows of the sum at a time: the
/// product, which comes in the dtype of `hidden`, stays in the cache.
void add_weight_gradient(at::Tensor& sum, const at::Tensor& gradient, const at::Tensor& hidden) {
  for (int64_t begin = 0; begin < sum.size(0); begin += kVocabularyBlock) {
    int64_t rows = std::min(kVocabularyBlock, sum.size(0) - begin);
    sum.narrow(0, begin, rows).add_(at::mm(gradient.narrow(1, begin, rows).t(), hidden));
  }
}

class ChunkedCrossEntropy : public torch::autograd::Function<ChunkedCrossEntropy> {
 public:
  /// The sum of weight times loss, and that of the losses. Without row_weights each is 1.
  static variable_list forward(AutogradContext* context, const at::Tensor& hidden,
                               const at::Tensor& weight, const at::Tensor& labels,
                               const RowWeights& row_weights, int64_t chunk_tokens) {
    bool train_hidden = hidden.requires_grad(), train_weight = weight.requires_grad();
    const auto exact_options = hidden.options().dtype(at::toOpMathType(hidden.scalar_type()));
    at::Tensor sum = at::zeros({}, hidden.options().dtype(at::kDouble));
    at::Tensor plain = at::zeros_like(sum);
    at::Tensor hidden_gradient, weight_gradient;
    if (train_hidden) hidden_gradient = at::empty_like(hidden);
    if (train_weight) weight_gradient = at::zeros(weight.sizes(), exact_options);
    visit_logits(hidden, weight, chunk_tokens, [&](int64_t begin, at::Tensor& logits) {
      int64_t rows = logits.size(0);
      at::Tensor losses =
          cross_entropy_rows(logits, labels.narrow(0, begin, rows), train_hidden || train_weight);
      plain += losses.sum(at::kDouble);
      if (row_weights) {
        const at::Tensor factors = row_weights(begin, losses).to(losses);
        losses.mul_(factors);
        if (train_hidden || train_weight) logits.mul_(factors.unsqueeze(1));
      }
      sum += losses.sum(at::kDouble);
      if (train_hidden) {
        at::Tensor out = hidden_gradient.narrow(0, begin, rows);
        at::mm_out(out, logits, weight);
      }
      if (train_weight) add_weight_gradient(weight_gradient, logits, hidden.narrow(0, begin, rows));
    });
    context->save_for_backward({hidden_gradient, weight_gradient});
    context->saved_data["dtype"] = static_cast<int64_t>(weight.scalar_type());
    plain = plain.to(exact_options);
    context->mark_non_differentiable({plain});
    return {sum.to(exact_options), plain};
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    auto saved = context->get_saved_variables();
    auto dtype = static_cast<at::ScalarType>(context->saved_data["dtype"].toInt());
    // The trainer differentiates the sum itself, for which no copy is made.
    double factor = gradients[0].item<double>();
    const auto scaled = [&](const at::Tensor& x) {
      return !x.defined() || factor == 1 ? x : x * factor;
    };
    at::Tensor hidden = scaled(saved[0]), weight = scaled(saved[1]);
    const at::Tensor none;
    return {hidden, weight.defined() ? weight.to(dtype) : weight, none, none, none};
  }
};

}  // namespace

int64_t loss_chunk_rows(at::Device device, int64_t chunk_tokens, int64_t vocab_size) {
  if (device.is_cpu()) return chunk_tokens;
  constexpr int64_t kBytes = int64_t{1} << 30;  // of bfloat16 logits
  return std::max(chunk_tokens, kBytes / (2 * vocab_size));
}

RowWeights given_row_weights(const at::Tensor& weights) {
  return [weights](int64_t begin, const at::Tensor& losses) {
    return weights.narrow(0, begin, losses.size(0)).to(losses);
  };
}

WeightedSum weighted_cross_entropy_sum(const at::Tensor& hidden, const at::Tensor& weight,
                                       const at::Tensor& labels, const RowWeights& row_weights,
                                       int64_t chunk_tokens) {
  // The function itself sees no gradient mode, and would make gradients that nobody takes.
  const bool records = at::GradMode::is_enabled();
  const variable_list sums = ChunkedCrossEntropy::apply(
      records ? hidden : hidden.detach(), records ? weight : weight.detach(),
      checked_labels(labels, hidden, weight), row_weights, chunk_tokens);
  return {sums[0], sums[1]};
}

at::Tensor chunked_cross_entropy_sum(const at::Tensor& hidden, const at::Tensor& weight,
                                     const at::Tensor& labels, int64_t chunk_tokens) {
  return weighted_cross_entropy_sum(hidden, weight, labels, /*row_weights=*/{}, chunk_tokens)
      .weighted;
}

at::Tensor token_cross_entropy(const at::Tensor& hidden, const at::Tensor& weight,
                               const at::Tensor& labels, int64_t chunk_tokens) {
  at::NoGradGuard no_gradients;
  at::Tensor losses = at::zeros({hidden.size(0)}, hidden.options().dtype(at::kFloat));
  const at::Tensor in_order = checked_labels(labels, hidden, weight);
  visit_logits(hidden, weight, chunk_tokens, [&](int64_t begin, at::Tensor& logits) {
    int64_t rows = logits.size(0);
    losses.narrow(0, begin, rows)
        .copy_(cross_entropy_rows(logits, in_order.narrow(0, begin, rows), /*gradient=*/false));
  });
  return losses;
}

TORCH_LIBRARY_FRAGMENT(longspan, library) {
  library.def("cross_entropy_rows(Tensor(a!) logits, Tensor labels, bool gradient) -> Tensor");
}

TORCH_LIBRARY_IMPL(longspan, CPU, library) {
  library.impl("cross_entropy_rows", cross_entropy_on_cpu);
}

}  // namespace longspan
