#include "trainer/optimizer/adamw.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "src/core/error.h"
#include "src/nn/module.h"
#include "trainer/optimizer/multi_tensor_adamw.h"

namespace longspan {

namespace {

bool decays(const std::string& name, const at::Tensor& parameter) {
  return parameter.dim() > 1 && name.find("embed_tokens") == name.npos;
}

double lr_ratio(const AdamWOptions& options, const ParameterGroup* group, const std::string& name,
                const at::Tensor& parameter) {
  if (group && group->lr) return *group->lr / options.lr;
  const bool is_fast = name.find("lora_B") != name.npos || parameter.dim() == 1;
  return is_fast ? options.lora_plus_ratio : 1.0;
}

double weight_decay(const AdamWOptions& options, const ParameterGroup* group,
                    const std::string& name, const at::Tensor& parameter) {
  if (group && group->weight_decay) return *group->weight_decay;
  return decays(name, parameter) ? options.weight_decay : 0.0;
}

at::Tensor master_of(const at::Tensor& parameter) {
  if (parameter.scalar_type() == at::kFloat && parameter.is_contiguous()) return parameter.detach();
  return parameter.detach().to(at::kFloat, /*non_blocking=*/false, /*copy=*/true).contiguous();
}

void restore_tensor(const at::Tensor& to, const at::Tensor& from, const std::string& name) {
  const bool fits =
      to.defined() == from.defined() &&
      (!to.defined() || (from.sizes() == to.sizes() && from.scalar_type() == to.scalar_type()));
  if (!fits) {
    fail(ExitCode::kCheckpoint,
         "the checkpoint's state of {} has another shape or dtype; resume with its own base model "
         "and recipe",
         name);
  }
  if (to.defined()) to.copy_(from);
}

/// On a GPU; not what is large, whose gradient in float32 would take memory beside the others'.
bool goes_with_others(const AdamW::Weight& weight) {
  constexpr int64_t kMostElements = int64_t{1} << 24;
  return !weight.master.is_cpu() && !weight.moments.in_8bit() &&
         weight.master.numel() <= kMostElements;
}

/// Of either number of bits; those of the run stay.
void restore_moments(const AdamW::Weight& weight, const TrainState::Weight& saved) {
  const AdamWMoments& to = weight.moments;
  const AdamWMoments from{saved.exp_avg, saved.exp_avg_sq, saved.exp_avg_absmax,
                          saved.exp_avg_sq_absmax};
  // Of the checkpoint's kind first: what does not even fit that is damaged.
  const bool same = from.in_8bit() == to.in_8bit();
  const AdamWMoments fitting = same ? to : zero_moments(weight.master, from.in_8bit() ? 8 : 32);
  restore_tensor(fitting.exp_avg, from.exp_avg, weight.name);
  restore_tensor(fitting.exp_avg_sq, from.exp_avg_sq, weight.name);
  restore_tensor(fitting.exp_avg_absmax, from.exp_avg_absmax, weight.name);
  restore_tensor(fitting.exp_avg_sq_absmax, from.exp_avg_sq_absmax, weight.name);
  if (!same) convert_moments(fitting, to);
}

}  // namespace

AdamW::AdamW(Module& model, const AdamWOptions& options) : options_(options) {
  model.visit_parameters("", [&](const std::string& name, at::Tensor& parameter) {
    if (!parameter.requires_grad()) return;
    Weight weight;
    weight.name = name;
    weight.parameter = parameter;
    weight.master = master_of(parameter);
    weight.moments = zero_moments(weight.master, options_.state_bits);
    const ParameterGroup* group = group_of(options_.groups, name);
    weight.lr_ratio = lr_ratio(options_, group, name, parameter);
    weight.weight_decay = weight_decay(options_, group, name, parameter);
    weights_.push_back(std::move(weight));
  });
  if (weights_.empty()) {
    fail(ExitCode::kRecipe,
         "lora: nothing is trained; name modules in lora.target_modules or lora.modules_to_save");
  }
}

void AdamW::begin_with(const std::function<at::Tensor(const std::string& name)>& exact) {
  at::NoGradGuard no_gradients;
  for (auto& weight : weights_) {
    const at::Tensor start = exact(weight.name);
    if (start.defined() && start.sizes() == weight.master.sizes()) weight.master.copy_(start);
  }
}

void AdamW::accumulate_gradients() {
  at::NoGradGuard no_gradients;
  for (auto& weight : weights_) {
    at::Tensor& gradient = weight.parameter.mutable_grad();
    if (!gradient.defined()) continue;
    if (weight.gradient.defined()) {
      weight.gradient = weight.gradient.to(at::kFloat).add_(gradient);
    } else {
      weight.gradient = gradient;
    }
    gradient.reset();
  }
}

void AdamW::scale_gradients(double factor) { gradient_scale_ *= factor; }

double AdamW::gradient_norm() const {
  double sum = 0;
  std::vector<at::Tensor> on_gpu;
  for (const auto& weight : weights_) {
    if (!weight.gradient.defined()) continue;
    if (weight.gradient.is_cpu()) {
      sum += sum_of_squares(weight.gradient);
    } else {
      on_gpu.push_back(weight.gradient);
    }
  }
  return gradient_scale_ * std::sqrt(sum + multi_tensor_sum_of_squares(on_gpu));
}

void AdamW::update(int64_t step, double lr) {
  at::NoGradGuard no_gradients;
  const auto step_of = [&](double lr_ratio, double weight_decay) {
    return AdamWStep{.step = step,
                     .lr = lr * lr_ratio,
                     .beta1 = options_.beta1,
                     .beta2 = options_.beta2,
                     .eps = options_.eps,
                     .weight_decay = weight_decay,
                     .gradient_scale = gradient_scale_};
  };
  std::map<std::pair<double, double>, std::vector<AdamWOperands>> together;  // by what differs
  for (auto& weight : weights_) {
    // Without a gradient, decay and the mean of those before still move the weight.
    if (!weight.gradient.defined()) weight.gradient = at::zeros_like(weight.master);
    if (goes_with_others(weight)) {
      together[{weight.lr_ratio, weight.weight_decay}].push_back(
          {std::move(weight.gradient), weight.moments, weight.master, weight.parameter});
    } else {
      adamw_update(step_of(weight.lr_ratio, weight.weight_decay), weight.gradient, weight.moments,
                   weight.master, weight.parameter);
    }
    weight.gradient.reset();
  }
  for (const auto& [of, operands] : together) {
    multi_tensor_adamw(step_of(of.first, of.second), operands);
  }
  gradient_scale_ = 1;
}

std::vector<TrainState::Weight> AdamW::state() const {
  std::vector<TrainState::Weight> state;
  for (const Weight& weight : weights_) {
    const AdamWMoments& moments = weight.moments;
    state.push_back({weight.name, weight.master, moments.exp_avg, moments.exp_avg_sq,
                     moments.exp_avg_absmax, moments.exp_avg_sq_absmax});
  }
  return state;
}

void AdamW::restore(const std::vector<TrainState::Weight>& saved) {
  at::NoGradGuard no_gradients;
  if (saved.size() != weights_.size()) {
    fail(ExitCode::kCheckpoint,
         "the checkpoint trains {} tensors, this run {}; resume with the recipe of the checkpoint",
         saved.size(), weights_.size());
  }
  for (auto& weight : weights_) {
    const auto found = std::find_if(saved.begin(), saved.end(),
                                    [&](const auto& s) { return s.name == weight.name; });
    if (found == saved.end()) {
      fail(ExitCode::kCheckpoint, "the checkpoint has no state of {}; resume with its own recipe",
           weight.name);
    }
    restore_tensor(weight.master, found->master, weight.name);
    restore_moments(weight, *found);
    if (!weight.parameter.is_alias_of(weight.master)) weight.parameter.copy_(weight.master);
  }
}

}  // namespace longspan
