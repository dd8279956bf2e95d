#include "src/nn/recompute.h"

#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/utils.h>

namespace longspan {

namespace {

using torch::autograd::variable_list;

/// Backward of a recomputed layer. A Node of our own and not an autograd::Function, because it must
/// run even when x needs no gradient: the layer's parameters do.
struct RecomputeBackward : public torch::autograd::Node {
  std::function<at::Tensor(const at::Tensor&)> layer;
  at::Tensor x;  // detached; the values the layer saw

  std::string name() const override { return "RecomputeBackward"; }
  void release_variables() override {
    x.reset();
    layer = nullptr;
  }
  variable_list apply(variable_list&& gradients) override {
    at::AutoGradMode with_gradients(true);
    bool needs_input_gradient = task_should_compute_output(0);
    at::Tensor input = x.detach().requires_grad_(needs_input_gradient);
    at::Tensor output = layer(input);
    torch::autograd::backward({output}, {gradients[0]});
    return {needs_input_gradient ? input.grad() : at::Tensor()};
  }
};

}  // namespace

at::Tensor recompute(const std::function<at::Tensor(const at::Tensor&)>& layer,
                     const at::Tensor& x) {
  if (!at::GradMode::is_enabled()) return layer(x);
  auto node = c10::make_intrusive<RecomputeBackward>();
  node->set_next_edges(torch::autograd::collect_next_edges(x));
  node->layer = layer;
  node->x = x.detach();
  at::Tensor y;
  {
    at::NoGradGuard no_gradients;
    y = layer(node->x);
  }
  torch::autograd::set_history(y, node);
  return y;
}

}  // namespace longspan
