#include "tools/support/rope_option.h"

#include "recipes/recipe_fields.h"
#include "recipes/yaml.h"

namespace longspan {

namespace {

std::shared_ptr<const RopeScaling> read_option(const std::string& text) {
  Diagnostics diagnostics;
  Json map = read_yaml_override(text, "--rope", diagnostics);
  read_rope_file(map, "--rope", diagnostics);
  diagnostics.throw_if_any(ExitCode::kUsage);
  std::shared_ptr<const RopeScaling> scaling =
      read_rope_scaling(Fields(map, diagnostics, "--rope"));
  diagnostics.throw_if_any(ExitCode::kUsage);
  return scaling;
}

}  // namespace

void check_rope_option(const Arguments& arguments) {
  parse_on_scaled(arguments["on-scaled"], "--on-scaled");
  if (arguments.given("rope")) {
    read_option(arguments["rope"]);
  } else if (arguments.given("on-scaled")) {
    fail(ExitCode::kUsage, "--on-scaled: says what --rope means, and there is no --rope");
  }
}

RopeExtension extend_rope_by_option(const ModelConfig& base, const Arguments& arguments) {
  auto scaling = read_option(arguments["rope"]);
  OnScaled on_scaled = parse_on_scaled(arguments["on-scaled"], "--on-scaled");
  try {
    return extend_rope(base, std::move(scaling), on_scaled);
  } catch (const Error& e) {
    if (e.code() == ExitCode::kModel) throw;
    fail(ExitCode::kUsage, "--rope: {}", with_on_scaled_option(e.what()));
  }
}

std::string with_on_scaled_option(std::string message) {
  constexpr std::string_view kKey = "on_scaled: ";
  for (size_t at = 0; (at = message.find(kKey, at)) != message.npos;) {
    message.replace(at, kKey.size(), "--on-scaled ");
  }
  return message;
}

}  // namespace longspan
