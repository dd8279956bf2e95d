#include "src/nn/lora_options.h"

#include <algorithm>
#include <cmath>
#include <type_traits>

#include "src/core/full_match.h"

namespace longspan {

namespace {

constexpr int64_t kLargestRank = 65536;

/// PEFT's get_pattern_key: the pattern is the whole name, or its end behind a dot. The groups are
/// numbered as there.
template <class T>
void apply_pattern(const std::vector<std::pair<std::string, T>>& patterns,
                   const std::string& module, T& value) {
  for (const auto& [pattern, own] : patterns) {
    if (full_match("(.*\\.)?(" + pattern + ")", module, "rank_pattern or alpha_pattern")) {
      value = own;
      return;
    }
  }
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
      LoraOptions{.alpha_pattern = {{pattern, 1}}}.for_module("");
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

bool is_saved(std::string_view module, std::string_view saved) { return module.ends_with(saved); }

bool LoraOptions::targets(std::string_view module) const {
  return std::any_of(target_modules.begin(), target_modules.end(),
                     [&](const auto& target) { return is_target(module, target); });
}

bool LoraOptions::saves(std::string_view module) const {
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

void lora_pattern_fields(FieldsIo& io, int64_t largest_rank, LoraOptions& options) {
  pattern_field(io, "rank_pattern", largest_rank, options.rank_pattern,
                "another `r` for some modules, as `{REGULAR EXPRESSION: r}`");
  pattern_field(io, "alpha_pattern", 1e9, options.alpha_pattern,
                "another `lora_alpha`, in the same way");
}

void fields(FieldsIo& io, LoraOptions& options) {
  io.prose("The names and meanings of PEFT's LoraConfig.");
  io.whole("r", options.r, {1, kLargestRank}, "the rank");
  io.positive("lora_alpha", options.lora_alpha, "the low-rank part is scaled by lora_alpha / r");
  io.flag("use_rslora", options.use_rslora, "`true`: by lora_alpha / sqrt(r)");
  io.flag("use_dora", options.use_dora,
          "`true`: the norm of each output's weights is trained too (DoRA)");
  io.texts("target_modules", options.target_modules,
           "what gets LoRA: the name of a projection, or its end behind a dot");
  io.texts("modules_to_save", options.modules_to_save,
           "what is trained whole: any end of a name, so that `norm` is every norm");
  lora_pattern_fields(io, kLargestRank, options);
  io.number("lora_dropout", options.lora_dropout, {0, 0}, "0 is the only value",
            {.written = options.lora_dropout != 0});
  io.prose(
      "A regular expression is for the end of a module's name. In alphabetical order the first "
      "that matches counts.");
  if (!io.reading()) return;
  std::sort(options.rank_pattern.begin(), options.rank_pattern.end());
  std::sort(options.alpha_pattern.begin(), options.alpha_pattern.end());
  if (options.target_modules.empty() && options.modules_to_save.empty()) {
    io.error("target_modules", "nothing is trained; name modules here or in modules_to_save");
  }
}

}  // namespace longspan
