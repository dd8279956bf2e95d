#include "src/nn/projection.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/mm.h>
#include <torch/csrc/autograd/functions/utils.h>

#include <algorithm>
#include <optional>

#include "src/nn/autograd_node.h"
#include "src/nn/gradient_sums.h"
#include "src/nn/linear.h"
#include "src/nn/lora_dropout.h"
#include "src/nn/row_product.h"
#include "src/nn/sum_of_products.h"

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

using Place = std::optional<DropoutPlace>;

/// Where the low-rank parts, all or none, drop elements of x; none without dropout.
Place place_of(const at::Tensor& x, const std::vector<const Linear*>& linears) {
  const bool drops = std::any_of(linears.begin(), linears.end(), [](const Linear* linear) {
    const auto low_rank = linear->low_rank();
    return low_rank && low_rank->dropout;
  });
  return drops ? dropout_place(x) : std::nullopt;
}

/// D(rows) A^T of all low-rank parts, [N, sum of r]; undefined without any.
at::Tensor reduce(const at::Tensor& rows, const std::vector<const Linear*>& linears,
                  const Place& place) {
  if (!place) {
    const at::Tensor a = stacked_a(linears);
    return a.defined() ? at::linear(rows, a) : a;
  }
  std::vector<at::Tensor> parts;
  for (const Linear* linear : linears) {
    const auto low_rank = linear->low_rank();
    if (!low_rank) continue;
    const at::Tensor a = low_rank->a.detach();
    parts.push_back(low_rank->dropout->product(rows, a, *place));
  }
  return parts.size() == 1 ? parts[0] : at::cat(parts, 1);
}

std::vector<at::Tensor> expand(const at::Tensor& x, const at::Tensor& reduced,
                               const std::vector<const Linear*>& linears, bool with_bias) {
  std::vector<at::Tensor> outputs;
  int64_t column = 0;
  for (const Linear* linear : linears) {
    at::Tensor y = apply_linear(x, linear->dense_weight(), with_bias ? linear->bias : at::Tensor());
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

/// W, its memory laid out for grad_y W. On the CPU a wide product runs faster where the columns of
/// W^T are contiguous. To copy W costs what that saves on several thousand rows, so that fewer
/// leave it as it is.
at::Tensor weight_for_gradient(const Linear& linear, int64_t rows) {
  at::Tensor weight = linear.dense_weight();
  bool is_wide =
      weight.is_cpu() && weight.size(0) >= 2048 && weight.size(1) >= 2048 && rows >= 16384;
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

/// The gradient of each A for those of its D(rows) A^T; adds that of rows to `grad_rows`, where it
/// is defined.
std::vector<at::Tensor> gradients_of_a(const at::Tensor& rows,
                                       const std::vector<const Linear*>& linears,
                                       const std::vector<at::Tensor>& grad_reduced,
                                       const Place& place, at::Tensor& grad_rows) {
  std::vector<at::Tensor> result;
  if (place) {
    for (const Linear* linear : linears) {
      const auto low_rank = linear->low_rank();
      if (!low_rank) continue;
      result.push_back(low_rank->dropout->backward(grad_reduced[result.size()], rows,
                                                   low_rank->a.detach(), *place, grad_rows));
    }
    return result;
  }
  const at::Tensor all = grad_reduced.size() == 1 ? grad_reduced[0] : at::cat(grad_reduced, 1);
  if (grad_rows.defined()) grad_rows.addmm_(all, stacked_a(linears));
  const at::Tensor stacked = sum_of_products(all, rows);  // [sum of r, in_features]
  int64_t row = 0;
  for (const at::Tensor& part : grad_reduced) {
    result.push_back(stacked.narrow(0, row, part.size(1)));
    row += part.size(1);
  }
  return result;
}

/// `grads` [N, out_features] each, some may be undefined; `reduced` undefined: made here.
Gradients gradients_of(const at::Tensor& rows, at::Tensor reduced,
                       const std::vector<const Linear*>& linears, const Place& place,
                       const std::vector<at::Tensor>& grads, bool wants_x) {
  Gradients result;
  if (wants_x) result.x = grad_through_weights(linears, grads);
  if (low_rank_factors(linears).empty()) return result;
  if (!reduced.defined()) reduced = reduce(rows, linears, place);
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
    grad_b.push_back(sum_of_products(grads[i], part).mul_(low_rank->scale));
  }
  const auto grad_a = gradients_of_a(rows, linears, grad_reduced, place, result.x);
  for (size_t i = 0; i < grad_b.size(); ++i) {
    result.factors.push_back(grad_a[i]);
    result.factors.push_back(grad_b[i]);
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
  Place place;
  std::vector<int64_t> sizes;

  std::string name() const override { return "ProjectionBackward"; }
  void release_variables() override {
    x.reset();
    reduced.reset();
  }
  variable_list apply(variable_list&& gradients) override {
    at::NoGradGuard first_order_only;
    Gradients grads = gradients_of(x.defined() ? rows_of(x) : x, reduced, linears, place,
                                   as_rows(gradients), task_should_compute_output(0));
    const std::vector<at::Tensor> parameters = low_rank_factors(linears);
    variable_list result{grads.x.defined() ? grads.x.view(sizes) : grads.x};
    for (size_t i = 0; i < parameters.size(); ++i) {
      const at::Tensor& factor = grads.factors[i];
      const bool taken = factor.defined() && GradientSums::take(parameters[i], factor);
      result.push_back(taken ? at::Tensor() : factor);
    }
    return result;
  }
};

struct WeightBackward : public torch::autograd::Node {
  const Linear* linear = nullptr;

  std::string name() const override { return "WeightBackward"; }
  variable_list apply(variable_list&& gradients) override {
    at::NoGradGuard first_order_only;
    const at::Tensor& grad = gradients[0];
    if (!grad.defined()) return {at::Tensor()};
    std::vector<int64_t> sizes = grad.sizes().vec();
    sizes.back() = linear->in_features();
    return {grad_through_weights({linear}, {rows_of(grad)}).view(sizes)};
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
  return project_frozen(x, linears);
}

std::vector<at::Tensor> project_frozen(const at::Tensor& x,
                                       const std::vector<const Linear*>& linears, bool with_bias) {
  std::vector<at::Tensor> parameters = low_rank_factors(linears);
  bool trains = std::any_of(parameters.begin(), parameters.end(),
                            [](const at::Tensor& p) { return p.requires_grad(); });
  bool records = at::GradMode::is_enabled() && (x.requires_grad() || trains);
  const Place place = place_of(x, linears);
  at::Tensor reduced;
  std::vector<at::Tensor> outputs;
  {
    at::NoGradGuard no_gradients;
    reduced = reduce(rows_of(x), linears, place);
    outputs = expand(x, reduced, linears, with_bias);
  }
  if (!records) return outputs;
  auto node = make_autograd_node<ProjectionBackward>();
  node->set_next_edges(torch::autograd::collect_next_edges(x, parameters));
  node->linears = linears;
  node->sizes = x.sizes().vec();
  if (reduced.defined()) node->x = x.detach();
  node->reduced = reduced;
  node->place = place;
  torch::autograd::set_history(outputs, node);
  return outputs;
}

at::Tensor project_weight(const at::Tensor& x, const Linear& linear) {
  at::Tensor y;
  {
    at::NoGradGuard no_gradients;
    y = apply_linear(x, linear.dense_weight());
  }
  if (!at::GradMode::is_enabled() || !x.requires_grad()) return y;
  auto node = make_autograd_node<WeightBackward>();
  node->set_next_edges(torch::autograd::collect_next_edges(x));
  node->linear = &linear;
  torch::autograd::set_history(y, node);
  return y;
}

at::Tensor project_backward(const at::Tensor& x, const std::vector<const Linear*>& linears,
                            const std::vector<at::Tensor>& grad_ys, bool wants_x) {
  at::NoGradGuard first_order_only;
  Gradients grads =
      gradients_of(rows_of(x), {}, linears, place_of(x, linears), as_rows(grad_ys), wants_x);
  std::vector<at::Tensor> parameters = low_rank_factors(linears);
  for (size_t i = 0; i < parameters.size(); ++i) {
    if (!parameters[i].requires_grad() || !grads.factors[i].defined()) continue;
    if (GradientSums::take(parameters[i], grads.factors[i])) continue;
    at::Tensor& sum = parameters[i].mutable_grad();
    sum = sum.defined() ? sum.add_(grads.factors[i]) : grads.factors[i].clone();
  }
  return grads.x.defined() ? grads.x.view(x.sizes()) : grads.x;
}

}  // namespace longspan
