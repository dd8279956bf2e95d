#include <algorithm>

#include "src/core/text.h"
#include "src/model/causal_lm.h"

namespace longspan {

namespace {

void check_options(const LoraOptions& options) {
  if (options.r < 1)
    fail(ExitCode::kRecipe, "lora.r: {} is too small; expected 1 or more", options.r);
  if (options.lora_dropout != 0) {
    fail(ExitCode::kRecipe, "lora.lora_dropout: {} is not supported; expected 0",
         options.lora_dropout);
  }
}

/// PEFT's rule for target_modules: the whole name, or its end behind a dot.
bool is_target(const std::string& module, const std::string& target) {
  return module == target || module.ends_with("." + target);
}

void check_all_matched(const std::vector<std::string>& names, const std::vector<bool>& matched,
                       const char* key, const std::vector<std::string>& known) {
  for (size_t i = 0; i < names.size(); ++i) {
    if (matched[i]) continue;
    fail(ExitCode::kRecipe,
         "lora.{}: '{}' matches no module of the model; expected names such as {}", key, names[i],
         join(known, ", "));
  }
}

std::string last_part(const std::string& module) { return module.substr(module.rfind('.') + 1); }

void add_known(std::vector<std::string>& known, const std::string& name) {
  if (std::find(known.begin(), known.end(), name) == known.end()) known.push_back(name);
}

void adapt_projections(CausalLm& model, const LoraOptions& options) {
  std::vector<bool> matched(options.target_modules.size());
  std::vector<std::string> known;
  model.visit_linears([&](const std::string& name, std::unique_ptr<Linear>& linear) {
    add_known(known, last_part(name));
    for (size_t i = 0; i < options.target_modules.size(); ++i) {
      if (!is_target(name, options.target_modules[i])) continue;
      matched[i] = true;
      auto adapted = std::make_unique<LoraLinear>(*linear, options.for_module(name));
      adapted->lora_A.requires_grad_(true);
      adapted->lora_B.requires_grad_(true);
      if (options.use_dora) adapted->lora_magnitude_vector.requires_grad_(true);
      linear = std::move(adapted);
      break;
    }
  });
  check_all_matched(options.target_modules, matched, "target_modules", known);
}

}  // namespace

void apply_lora(CausalLm& model, const LoraOptions& options) {
  check_options(options);
  adapt_projections(model, options);
  std::vector<bool> matched(options.modules_to_save.size());
  std::vector<std::string> known;
  model.visit_parameters("", [&](const std::string& name, at::Tensor& parameter) {
    if (name.find(".lora_") != name.npos) return;
    std::string module = name.substr(0, name.rfind('.'));
    add_known(known, last_part(module));
    for (size_t i = 0; i < options.modules_to_save.size(); ++i) {
      if (!module.ends_with(options.modules_to_save[i])) continue;
      matched[i] = true;
      // A clone: the imported one may be a read-only view of the file.
      if (!parameter.requires_grad()) parameter = parameter.clone().requires_grad_(true);
    }
  });
  check_all_matched(options.modules_to_save, matched, "modules_to_save", known);
}

}  // namespace longspan
