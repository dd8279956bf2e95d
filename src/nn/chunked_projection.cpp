#include "src/nn/chunked_projection.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/functions/utils.h>

#include <algorithm>

#include "src/nn/autograd_node.h"
#include "src/nn/gradient_sums.h"
#include "src/nn/linear.h"
#include "src/nn/rms_norm.h"
#include "src/nn/token_chunks.h"

namespace longspan {

namespace {

using torch::autograd::variable_list;

/// What gets its gradient here.
std::vector<at::Tensor> trained(const RmsNorm& norm, const std::vector<const Linear*>& linears) {
  std::vector<at::Tensor> parameters = low_rank_factors(linears);
  parameters.push_back(norm.weight);
  std::erase_if(parameters, [](const at::Tensor& p) { return !p.requires_grad(); });
  return parameters;
}

/// A Node of our own and not an autograd::Function: it must run even when x needs no gradient.
struct ChunkedProjectionBackward : public torch::autograd::Node {
  at::Tensor x;
  const RmsNorm* norm = nullptr;
  std::vector<const Linear*> linears;
  int64_t chunk_tokens = 0;

  std::string name() const override { return "ChunkedProjectionBackward"; }
  void release_variables() override { x.reset(); }

  variable_list apply(variable_list&& gradients) override {
    at::NoGradGuard no_gradients;
    const bool wants_x = task_should_compute_output(0);
    at::Tensor grad_x = wants_x ? at::empty_like(x) : at::Tensor();
    GradientSums sums(trained(*norm, linears));
    each_chunk(x.size(1), chunk_tokens, [&](int64_t begin, int64_t count) {
      at::Tensor input = x.narrow(1, begin, count).detach().requires_grad_(wants_x);
      at::Tensor normed;
      {
        at::AutoGradMode with_gradients(true);
        normed = norm->forward(input);
      }
      variable_list parts;
      for (const auto& gradient : gradients) {
        parts.push_back(gradient.defined() ? gradient.narrow(1, begin, count) : gradient);
      }
      at::Tensor grad = project_backward(normed.detach(), linears, parts, normed.requires_grad());
      if (grad.defined()) torch::autograd::backward({normed}, {grad});
      sums.collect();
      if (wants_x) grad_x.narrow(1, begin, count).copy_(input.grad());
    });
    sums.give_back();
    return {grad_x};
  }
};

}  // namespace

std::vector<at::Tensor> project_normed(const at::Tensor& x, const RmsNorm& norm,
                                       const std::vector<const Linear*>& linears,
                                       int64_t chunk_tokens) {
  const bool frozen =
      std::all_of(linears.begin(), linears.end(), [](auto* l) { return l->is_frozen(); });
  if (!frozen || chunk_tokens <= 0 || chunk_tokens >= x.size(1)) {
    return project(norm.forward(x), linears);
  }
  std::vector<at::Tensor> outputs;
  {
    at::NoGradGuard no_gradients;
    for (const Linear* linear : linears) {
      outputs.push_back(at::empty({x.size(0), x.size(1), linear->out_features()}, x.options()));
    }
    each_chunk(x.size(1), chunk_tokens, [&](int64_t begin, int64_t count) {
      auto parts = project(norm.forward(x.narrow(1, begin, count)), linears);
      for (size_t i = 0; i < parts.size(); ++i) {
        outputs[i].narrow(1, begin, count).copy_(parts[i]);
      }
    });
  }
  const bool records =
      at::GradMode::is_enabled() && (x.requires_grad() || !trained(norm, linears).empty());
  if (!records) return outputs;
  auto node = make_autograd_node<ChunkedProjectionBackward>();
  node->set_next_edges(torch::autograd::collect_next_edges(x));
  node->x = x.detach();
  node->norm = &norm;
  node->linears = linears;
  node->chunk_tokens = chunk_tokens;
  torch::autograd::set_history(outputs, node);
  return outputs;
}

}  // namespace longspan
