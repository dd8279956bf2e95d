#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "src/core/fields_io.h"

namespace longspan {

/// PEFT's rule for target_modules: the name of the module, or its end behind a dot.
bool is_target(std::string_view module, std::string_view target);
/// PEFT's rule for rank_pattern and alpha_pattern: a regular expression for the whole name of the
/// module, or its end behind a dot. A malformed one throws Error(kModel).
bool matches_pattern(const std::string& pattern, std::string_view module);
/// PEFT's rule for modules_to_save: any end of the module's name ("norm" means every RMSNorm).
bool is_saved(std::string_view module, std::string_view saved);

/// PEFT's text in place of a list of target_modules: every projection, the head apart.
inline constexpr std::string_view kAllLinear = "all-linear";
/// Whether a text of target_modules is it, in letters of either case.
bool is_all_linear(const std::string& target_modules);

/// PEFT's LoraConfig keys. target_modules get LoRA, modules_to_save are trained whole.
struct LoraOptions {
  int64_t r = 8;
  double lora_alpha = 16;
  double lora_dropout = 0;  // of the input of A, in training (src/nn/lora_dropout.h)
  bool use_rslora = false;
  bool use_dora = false;
  std::vector<std::string> target_modules{"q_proj", "k_proj", "v_proj", "o_proj"};
  /// Counts in place of target_modules unless it is empty: kAllLinear, or a regular expression for
  /// the whole name of a module.
  std::string target_pattern = {};
  std::vector<std::string> modules_to_save{"embed_tokens", "norm"};
  /// Regular expressions for the end of a module's name with its own r or lora_alpha; the first
  /// that matches counts. One that is malformed throws Error(kModel) where it is used.
  std::vector<std::pair<std::string, int64_t>> rank_pattern{};
  std::vector<std::pair<std::string, double>> alpha_pattern{};
  bool none = false;  // no LoRA, and every weight is trained whole: full fine-tuning

  bool targets(std::string_view module) const;
  bool saves(std::string_view module) const;
  /// These options with r and lora_alpha as the patterns make them for `module`.
  LoraOptions for_module(const std::string& module) const;
  /// lora_alpha / r, or lora_alpha / sqrt(r) with use_rslora.
  double scale() const;
};

/// The keys of a recipe's `lora` map. Patterns that are read are sorted as PEFT, which takes the
/// first that matches, finds them in adapter_config.json.
void fields(FieldsIo& io, LoraOptions& options);

/// rank_pattern and alpha_pattern, {regular expression: number}, in the order given.
void lora_pattern_fields(FieldsIo& io, int64_t largest_rank, LoraOptions& options);

}  // namespace longspan
