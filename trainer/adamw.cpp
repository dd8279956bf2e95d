#include "trainer/adamw.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/full.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/zeros_like.h>

#include <cmath>

#include "src/core/error.h"
#include "src/nn/module.h"

namespace longspan {

namespace {

bool decays(const std::string& name, const at::Tensor& parameter) {
  return parameter.dim() > 1 && name.find("embed_tokens") == name.npos;
}

}  // namespace

AdamW::AdamW(Module& model, const AdamWOptions& options) : options_(options) {
  model.visit_parameters("", [&](const std::string& name, at::Tensor& parameter) {
    if (!parameter.requires_grad()) return;
    Weight weight;
    weight.name = name;
    weight.parameter = parameter;
    weight.master = parameter.detach().to(at::kFloat, /*non_blocking=*/false, /*copy=*/true);
    weight.gradient = at::zeros_like(weight.master);
    weight.exp_avg = at::zeros_like(weight.master);
    weight.exp_avg_sq = at::zeros_like(weight.master);
    weight.decays = decays(name, parameter);
    weights_.push_back(std::move(weight));
  });
  if (weights_.empty()) {
    fail(ExitCode::kRecipe,
         "lora: nothing is trained; name modules in lora.target_modules or lora.modules_to_save");
  }
}

void AdamW::accumulate_gradients() {
  at::NoGradGuard no_gradients;
  for (auto& weight : weights_) {
    at::Tensor& gradient = weight.parameter.mutable_grad();
    if (gradient.defined()) weight.gradient.add_(gradient);
    gradient.reset();
  }
}

void AdamW::scale_gradients(double factor) {
  for (auto& weight : weights_) weight.gradient.mul_(factor);
}

double AdamW::gradient_norm() const {
  double sum = 0;
  for (const auto& weight : weights_) {
    double norm =
        at::linalg_vector_norm(weight.gradient, 2, std::nullopt, false, at::kDouble).item<double>();
    sum += norm * norm;
  }
  return std::sqrt(sum);
}

void AdamW::update(int64_t step, double lr) {
  at::NoGradGuard no_gradients;
  at::Tensor steps = at::full({}, static_cast<double>(step), at::kFloat);
  for (auto& weight : weights_) {
    at::_fused_adamw_({weight.master}, {weight.gradient}, {weight.exp_avg}, {weight.exp_avg_sq}, {},
                      {steps}, lr, options_.beta1, options_.beta2,
                      weight.decays ? options_.weight_decay : 0.0, options_.eps,
                      /*amsgrad=*/false, /*maximize=*/false);
    weight.gradient.zero_();
    weight.parameter.copy_(weight.master);
  }
}

void AdamW::restore(const std::map<std::string, Saved>& saved) {
  at::NoGradGuard no_gradients;
  if (saved.size() != weights_.size()) {
    fail(ExitCode::kCheckpoint,
         "the checkpoint trains {} tensors, this run {}; resume with the "
         "recipe of the checkpoint",
         saved.size(), weights_.size());
  }
  for (auto& weight : weights_) {
    auto found = saved.find(weight.name);
    if (found == saved.end()) {
      fail(ExitCode::kCheckpoint, "the checkpoint has no state of {}; resume with its own recipe",
           weight.name);
    }
    const auto take = [&](at::Tensor& to, const at::Tensor& from) {
      if (from.sizes() != to.sizes() || from.scalar_type() != at::kFloat) {
        fail(ExitCode::kCheckpoint,
             "the checkpoint's state of {} has another shape or dtype; "
             "resume with its own base model and recipe",
             weight.name);
      }
      to.copy_(from);
    };
    take(weight.master, found->second.master);
    take(weight.exp_avg, found->second.exp_avg);
    take(weight.exp_avg_sq, found->second.exp_avg_sq);
    weight.parameter.copy_(weight.master);
  }
}

}  // namespace longspan
