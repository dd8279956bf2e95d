#include "src/model/apply_lora.h"

#include <algorithm>

#include "src/core/text.h"
#include "src/model/causal_lm.h"
#include "src/nn/lora_linear.h"

namespace longspan {

namespace {

using Modules = std::vector<std::string>;

void check_options(const LoraOptions& options) {
  if (options.r < 1)
    fail(ExitCode::kRecipe, "lora.r: {} is too small; expected 1 or more", options.r);
}

std::string module_of(const std::string& parameter) {
  return parameter.substr(0, parameter.rfind('.'));
}

/// The last part of each name, each once, in the model's order.
Modules last_parts(const Modules& modules) {
  Modules parts;
  for (const auto& module : modules) {
    const std::string part = module.substr(module.rfind('.') + 1);
    if (std::find(parts.begin(), parts.end(), part) == parts.end()) parts.push_back(part);
  }
  return parts;
}

Modules projections_of(CausalLm& model) {
  Modules modules;
  model.visit_linears(
      [&](const std::string& name, std::unique_ptr<Linear>&) { modules.push_back(name); });
  return modules;
}

Modules modules_of(CausalLm& model) {
  Modules modules;
  model.visit_parameters("", [&](const std::string& name, at::Tensor&) {
    if (!is_of_lora(name)) modules.push_back(module_of(name));
  });
  return modules;
}

void adapt_projections(CausalLm& model, const LoraOptions& options) {
  uint64_t projection = 0;
  model.visit_linears([&](const std::string& name, std::unique_ptr<Linear>& linear) {
    ++projection;
    if (!options.targets(name)) return;
    auto adapted = std::make_unique<LoraLinear>(*linear, options.for_module(name), projection);
    adapted->lora_A.requires_grad_(true);
    adapted->lora_B.requires_grad_(true);
    if (options.use_dora) adapted->lora_magnitude_vector.requires_grad_(true);
    linear = std::move(adapted);
  });
}

}  // namespace

bool is_of_lora(const std::string& parameter) { return parameter.find(".lora_") != parameter.npos; }

std::vector<std::pair<std::string, std::string>> unmatched_modules(CausalLm& model,
                                                                   const LoraOptions& options) {
  std::vector<std::pair<std::string, std::string>> unmatched;
  if (options.none) return unmatched;
  const auto look = [&](const char* key, const Modules& names, const Modules& modules,
                        bool (*matches)(std::string_view, std::string_view)) {
    for (const auto& name : names) {
      if (std::any_of(modules.begin(), modules.end(),
                      [&](const auto& module) { return matches(module, name); })) {
        continue;
      }
      unmatched.emplace_back(
          key, fmt::format("'{}' matches no module of the model; expected names such as {}", name,
                           join(last_parts(modules), ", ")));
    }
  };
  const Modules projections = projections_of(model);
  if (options.target_pattern.empty()) {
    look("target_modules", options.target_modules, projections, is_target);
  } else if (std::none_of(projections.begin(), projections.end(),
                          [&](const auto& module) { return options.targets(module); })) {
    unmatched.emplace_back(
        "target_modules",
        fmt::format("'{}' is the whole name of no projection; expected all-linear, or a regular "
                    "expression for names such as {}",
                    options.target_pattern, projections.front()));
  }
  look("modules_to_save", options.modules_to_save, modules_of(model), is_saved);
  return unmatched;
}

std::vector<std::string> trained_parameters(CausalLm& model, const LoraOptions& options) {
  std::vector<std::string> names;
  for (const auto& module : projections_of(model)) {
    if (!options.targets(module)) continue;
    names.push_back(module + ".lora_A.weight");
    names.push_back(module + ".lora_B.weight");
    if (options.use_dora) names.push_back(module + ".lora_magnitude_vector");
  }
  model.visit_parameters("", [&](const std::string& name, at::Tensor&) {
    if (!is_of_lora(name) && options.saves(module_of(name))) names.push_back(name);
  });
  return names;
}

void apply_lora(CausalLm& model, const LoraOptions& options) {
  check_options(options);
  for (const auto& [key, what] : unmatched_modules(model, options)) {
    fail(ExitCode::kRecipe, "lora.{}: {}", key, what);
  }
  adapt_projections(model, options);
  model.visit_parameters("", [&](const std::string& name, at::Tensor& parameter) {
    if (is_of_lora(name) || !options.saves(module_of(name))) return;
    // A clone: the imported one may be a read-only view of the file.
    if (!parameter.requires_grad()) parameter = parameter.clone().requires_grad_(true);
  });
}

}  // namespace longspan
