#include "src/nn/lora_options.h"

#include <algorithm>
#include <cmath>
#include <type_traits>

#include "src/core/full_match.h"
#include "src/core/text.h"

namespace longspan {

namespace {

constexpr int64_t kLargestRank = 65536;

template <class T>
void apply_pattern(const std::vector<std::pair<std::string, T>>& patterns,
                   const std::string& module, T& value) {
  const auto found = std::find_if(patterns.begin(), patterns.end(), [&](const auto& pattern) {
    return matches_pattern(pattern.first, module);
  });
  if (found != patterns.end()) value = found->second;
}

/// Reads {"q_proj": 4} and the like.
template <class T>
void read_pattern(Fields& fields, std::string_view key, T largest,
                  std::vector<std::pair<std::string, T>>& out) {
  Json map = Json::object();
  fields.optional(key, map);
  if (!map.is_object()) return fields.error(key, "is no map");
  for (const auto& item : map.items()) {
    const std::string& pattern = item.key();
    const Json& value = item.value();
    if (pattern.size() > 256 || !value.is_number() || !(value.get<double>() > 0) ||
        value.get<double>() > static_cast<double>(largest) ||
        (std::is_integral_v<T> && !value.is_number_integer())) {
      fields.error(key,
                   fmt::format("'{}': {} is no rank or alpha of a module", pattern, value.dump()));
      continue;
    }
    try {
      matches_pattern(pattern, "");
    } catch (const Error& malformed) {
      fields.error(key, malformed.what());
      continue;
    }
    out.emplace_back(pattern, value.get<T>());
  }
}

template <class T>
void pattern_field(FieldsIo& io, std::string_view key, T largest,
                   std::vector<std::pair<std::string, T>>& patterns, std::string_view meaning) {
  if (Fields* fields = io.reading()) return read_pattern(*fields, key, largest, patterns);
  Json map = Json::object();
  for (const auto& [pattern, value] : patterns) map[pattern] = value;
  const Json number = {{"type", std::is_integral_v<T> ? "integer" : "number"},
                       {"exclusiveMinimum", 0},
                       {"maximum", largest}};
  io.put(key, map, {{"type", "object"}, {"additionalProperties", number}}, meaning,
         {.otherwise = "none", .written = !patterns.empty()});
}

}  // namespace

bool is_target(std::string_view module, std::string_view target) {
  if (!module.ends_with(target)) return false;
  return module.size() == target.size() || module[module.size() - target.size() - 1] == '.';
}

// The groups are numbered as in PEFT's get_pattern_key.
bool matches_pattern(const std::string& pattern, std::string_view module) {
  return full_match("(.*\\.)?(" + pattern + ")", module, "rank_pattern or alpha_pattern");
}

bool is_saved(std::string_view module, std::string_view saved) { return module.ends_with(saved); }

bool is_all_linear(const std::string& target_modules) {
  return lower_case(target_modules) == kAllLinear;
}

bool LoraOptions::targets(std::string_view module) const {
  if (none) return false;
  if (target_pattern == kAllLinear) return module != "lm_head";
  if (!target_pattern.empty()) return full_match(target_pattern, module, "lora.target_modules");
  return std::any_of(target_modules.begin(), target_modules.end(),
                     [&](const auto& target) { return is_target(module, target); });
}

bool LoraOptions::saves(std::string_view module) const {
  if (none) return true;
  return std::any_of(modules_to_save.begin(), modules_to_save.end(),
                     [&](const auto& saved) { return is_saved(module, saved); });
}

LoraOptions LoraOptions::for_module(const std::string& module) const {
  LoraOptions options = *this;
  apply_pattern(rank_pattern, module, options.r);
  apply_pattern(alpha_pattern, module, options.lora_alpha);
  return options;
}

double LoraOptions::scale() const {
  double rank = static_cast<double>(r);
  return lora_alpha / (use_rslora ? std::sqrt(rank) : rank);
}

namespace {

void dropout_field(FieldsIo& io, double& dropout) {
  constexpr const char* kKey = "lora_dropout";
  io.put(kKey, dropout, {{"type", "number"}, {"minimum", 0}, {"exclusiveMaximum", 1}},
         "the probability that an input of A is dropped in a step; drawn from `train.seed`",
         {.written = dropout != 0});
  Fields* fields = io.reading();
  if (!fields) return;
  fields->optional(kKey, dropout);
  if (!(dropout >= 0 && dropout < 1)) {
    fields->error(kKey, fmt::format("{} is out of range; expected 0 to less than 1", dropout));
  }
}

void check_target_pattern(FieldsIo& io, const std::string& pattern) {
  try {
    full_match(pattern, "", "lora.target_modules");
  } catch (const Error& malformed) {
    io.error("target_modules", malformed.what());
  }
}

/// A list of names, or a text.
void target_modules_field(FieldsIo& io, LoraOptions& options) {
  constexpr const char* kKey = "target_modules";
  const Json names = {{"type", "array"}, {"items", {{"type", "string"}}}};
  const Json text = {{"type", "string"}, {"minLength", 1}};
  const bool is_list = options.target_pattern.empty();
  io.put(kKey, is_list ? Json(options.target_modules) : Json(options.target_pattern),
         {{"anyOf", {names, text}}},
         "what gets LoRA: names of projections, or their ends behind a dot; or one text, "
         "`all-linear` or a regular expression for the whole name");
  Fields* fields = io.reading();
  if (!fields) return;
  Json given;
  fields->optional(kKey, given);
  if (!given.is_string()) {
    fields->optional(kKey, options.target_modules);
  } else {
    options.target_pattern = given.get<std::string>();
    if (is_all_linear(options.target_pattern)) options.target_pattern = kAllLinear;
    check_target_pattern(io, options.target_pattern);
  }
  if (given == "") io.error(kKey, "is empty, expected `all-linear` or a regular expression");
}

}  // namespace

void lora_pattern_fields(FieldsIo& io, int64_t largest_rank, LoraOptions& options) {
  pattern_field(io, "rank_pattern", largest_rank, options.rank_pattern,
                "another `r` for some modules, as `{REGULAR EXPRESSION: r}`");
  pattern_field(io, "alpha_pattern", 1e9, options.alpha_pattern,
                "another `lora_alpha`, in the same way");
}

void fields(FieldsIo& io, LoraOptions& options) {
  io.prose("The names and meanings of PEFT's LoraConfig.");
  io.prose(
      "`lora: none` in place of the map trains every weight of the model (full fine-tuning). It "
      "takes 14 bytes a weight (of `dtype: bfloat16`: the weight, its float32 master and two "
      "moments; 8 by `memory.optimizer_state_bits: 8`), and its gradient 2 more. Its checkpoints "
      "are whole models in float32, and `merge` writes the newest one with the base's tokenizer.");
  io.whole("r", options.r, {1, kLargestRank}, "the rank");
  io.positive("lora_alpha", options.lora_alpha, "the low-rank part is scaled by lora_alpha / r");
  io.flag("use_rslora", options.use_rslora, "`true`: by lora_alpha / sqrt(r)");
  io.flag("use_dora", options.use_dora,
          "`true`: the norm of each output's weights is trained too (DoRA)");
  target_modules_field(io, options);
  io.texts("modules_to_save", options.modules_to_save,
           "what is trained whole: any end of a name, so that `norm` is every norm");
  lora_pattern_fields(io, kLargestRank, options);
  dropout_field(io, options.lora_dropout);
  io.prose(
      "The regular expressions of `rank_pattern` and `alpha_pattern` are for the end of a module's "
      "name; in alphabetical order the first that matches counts.");
  if (!io.reading()) return;
  std::sort(options.rank_pattern.begin(), options.rank_pattern.end());
  std::sort(options.alpha_pattern.begin(), options.alpha_pattern.end());
}

}  // namespace longspan
