#include "src/nn/projection.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/mm.h>
#include <torch/csrc/autograd/functions/utils.h>

#include <algorithm>

#include "src/nn/autograd_node.h"
#include "src/nn/linear.h"
#include "src/nn/row_product.h"

namespace longspan {

namespace {

using torch::autograd::variable_list;

at::Tensor rows_of(const at::Tensor& x) { return x.reshape({-1, x.size(-1)}); }

/// A of every low-rank part, one below the other [sum of r, in_features]; undefined without any.
at::Tensor stacked_a(const std::vector<const Linear*>& linears) {
  std::vector<at::Tensor> parts;
  for (const Linear* linear : linears) {
    if (auto low_rank = linear->low_rank()) parts.push_back(low_rank->a.detach());
  }
  if (parts.empty()) return {};
  return parts.size() == 1 ? parts[0] : at::cat(parts);
}

/// rows x A^T of all low-rank parts, [N, sum of r]
at::Tensor reduce(const at::Tensor& rows, const at::Tensor& a) {
  return a.defined() ? at::linear(rows, a) : at::Tensor();
}

std::vector<at::Tensor> expand(const at::Tensor& x, const at::Tensor& reduced,
                               const std::vector<const Linear*>& linears) {
  std::vector<at::Tensor> outputs;
  int64_t column = 0;
  for (const Linear* linear : linears) {
    at::Tensor y = apply_linear(x, linear->dense_weight(), linear->bias);
    if (auto low_rank = linear->low_rank()) {
      int64_t r = low_rank->a.size(0);
      y.view({-1, y.size(-1)})
          .addmm_(reduced.narrow(1, column, r), low_rank->b.detach().t(), /*beta=*/1,
                  low_rank->scale);
      column += r;
    }
    outputs.push_back(std::move(y));
  }
  return outputs;
}

struct Gradients {
  at::Tensor x;                     // [N, in_features]
  std::vector<at::Tensor> factors;  // of low_rank_factors()
};

/// W, its memory laid out for grad_y W. A wide product runs faster where the columns of W^T are
/// contiguous. To copy W costs what that saves on several thousand rows, so that fewer leave it as
/// it is.
at::Tensor weight_for_gradient(const Linear& linear, int64_t rows) {
  at::Tensor weight = linear.dense_weight();
  bool is_wide = weight.size(0) >= 2048 && weight.size(1) >= 2048 && rows >= 16384;
  return is_wide ? weight.t().contiguous().t() : weight;
}

/// The sum of grad_ys_i W_i; undefined where all of these are.
at::Tensor grad_through_weights(const std::vector<const Linear*>& linears,
                                const std::vector<at::Tensor>& grads) {
  at::Tensor sum;
  for (size_t i = 0; i < linears.size(); ++i) {
    if (!grads[i].defined()) continue;
    at::Tensor weight = weight_for_gradient(*linears[i], grads[i].size(0));
    if (sum.defined()) {
      sum.addmm_(grads[i], weight);
    } else {
      sum = at::mm(grads[i], weight);
    }
  }
  return sum;
}

/// `grads` [N, out_features] each, some may be undefined; `reduced` undefined: made here.
Gradients gradients_of(const at::Tensor& rows, at::Tensor reduced,
                       const std::vector<const Linear*>& linears,
                       const std::vector<at::Tensor>& grads, bool wants_x) {
  Gradients result;
  if (wants_x) result.x = grad_through_weights(linears, grads);
  const at::Tensor a = stacked_a(linears);
  if (!a.defined()) return result;
  if (!reduced.defined()) reduced = reduce(rows, a);
  std::vector<at::Tensor> grad_reduced, grad_b;
  int64_t column = 0;
  for (size_t i = 0; i < linears.size(); ++i) {
    auto low_rank = linears[i]->low_rank();
    if (!low_rank) continue;
    int64_t r = low_rank->a.size(0);
    at::Tensor part = reduced.narrow(1, column, r), b = low_rank->b.detach();
    column += r;
    if (!grads[i].defined()) {
      grad_reduced.push_back(part.new_zeros(part.sizes()));
      grad_b.emplace_back();
      continue;
    }
    grad_reduced.push_back(at::mm(grads[i], b).mul_(low_rank->scale));
    grad_b.push_back(at::mm(grads[i].t(), part).mul_(low_rank->scale));
  }
  at::Tensor all = grad_reduced.size() == 1 ? grad_reduced[0] : at::cat(grad_reduced, 1);
  if (wants_x && result.x.defined()) result.x.addmm_(all, a);
  at::Tensor grad_a = at::mm(all.t(), rows);  // [sum of r, in_features]
  int64_t row = 0;
  for (size_t i = 0; i < grad_b.size(); ++i) {
    int64_t r = grad_reduced[i].size(1);
    result.factors.push_back(grad_a.narrow(0, row, r));
    result.factors.push_back(grad_b[i]);
    row += r;
  }
  return result;
}

std::vector<at::Tensor> as_rows(const std::vector<at::Tensor>& grads) {
  std::vector<at::Tensor> rows;
  for (const auto& grad : grads) rows.push_back(grad.defined() ? rows_of(grad) : grad);
  return rows;
}

/// A Node of our own and not an autograd::Function, for its inputs are a list.
struct ProjectionBackward : public torch::autograd::Node {
  std::vector<const Linear*> linears;
  at::Tensor x, reduced;  // undefined without low-rank parts, which alone need them
  std::vector<int64_t> sizes;

  std::string name() const override { return "ProjectionBackward"; }
  void release_variables() override {
    x.reset();
    reduced.reset();
  }
  variable_list apply(variable_list&& gradients) override {
    at::NoGradGuard first_order_only;
    Gradients grads = gradients_of(x.defined() ? rows_of(x) : x, reduced, linears,
                                   as_rows(gradients), task_should_compute_output(0));
    variable_list result{grads.x.defined() ? grads.x.view(sizes) : grads.x};
    result.insert(result.end(), grads.factors.begin(), grads.factors.end());
    return result;
  }
};

}  // namespace

std::vector<at::Tensor> low_rank_factors(const std::vector<const Linear*>& linears) {
  std::vector<at::Tensor> factors;
  for (const Linear* linear : linears) {
    auto low_rank = linear->low_rank();
    if (low_rank) factors.insert(factors.end(), {low_rank->a, low_rank->b});
  }
  return factors;
}

std::vector<at::Tensor> project(const at::Tensor& x, const std::vector<const Linear*>& linears) {
  if (!std::all_of(linears.begin(), linears.end(), [](auto* l) { return l->is_frozen(); })) {
    std::vector<at::Tensor> outputs;
    for (const Linear* linear : linears) outputs.push_back(linear->forward(x));
    return outputs;
  }
  std::vector<at::Tensor> parameters = low_rank_factors(linears);
  bool trains = std::any_of(parameters.begin(), parameters.end(),
                            [](const at::Tensor& p) { return p.requires_grad(); });
  bool records = at::GradMode::is_enabled() && (x.requires_grad() || trains);
  at::Tensor reduced;
  std::vector<at::Tensor> outputs;
  {
    at::NoGradGuard no_gradients;
    reduced = reduce(rows_of(x), stacked_a(linears));
    outputs = expand(x, reduced, linears);
  }
  if (!records) return outputs;
  auto node = make_autograd_node<ProjectionBackward>();
  node->set_next_edges(torch::autograd::collect_next_edges(x, parameters));
  node->linears = linears;
  node->sizes = x.sizes().vec();
  if (reduced.defined()) node->x = x.detach();
  node->reduced = reduced;
  torch::autograd::set_history(outputs, node);
  return outputs;
}

at::Tensor project_backward(const at::Tensor& x, const std::vector<const Linear*>& linears,
                            const std::vector<at::Tensor>& grad_ys, bool wants_x) {
  at::NoGradGuard first_order_only;
  Gradients grads = gradients_of(rows_of(x), {}, linears, as_rows(grad_ys), wants_x);
  std::vector<at::Tensor> parameters = low_rank_factors(linears);
  for (size_t i = 0; i < parameters.size(); ++i) {
    if (!parameters[i].requires_grad() || !grads.factors[i].defined()) continue;
    at::Tensor& sum = parameters[i].mutable_grad();
    sum = sum.defined() ? sum.add_(grads.factors[i]) : grads.factors[i].clone();
  }
  return grads.x.defined() ? grads.x.view(x.sizes()) : grads.x;
}

}  // namespace longspan
