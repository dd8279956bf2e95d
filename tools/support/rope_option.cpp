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

void add_on_scaled_option(cxxopts::Options& options) {
  options.add_options()("on-scaled",
                        "a scaling on a model whose RoPE is scaled already: replace that, "
                        "compose the two, or error",
                        cxxopts::value<std::string>()->default_value("error"), "MEANING");
}

void check_rope_option(const cxxopts::ParseResult& parsed) {
  parse_on_scaled(parsed["on-scaled"].as<std::string>(), "--on-scaled");
  if (parsed.count("rope")) {
    read_option(parsed["rope"].as<std::string>());
  } else if (parsed.count("on-scaled")) {
    fail(ExitCode::kUsage, "--on-scaled: says what --rope means, and there is no --rope");
  }
}

RopeExtension extend_rope_by_option(const ModelConfig& base, const cxxopts::ParseResult& parsed) {
  auto scaling = read_option(parsed["rope"].as<std::string>());
  OnScaled on_scaled = parse_on_scaled(parsed["on-scaled"].as<std::string>(), "--on-scaled");
  try {
    return extend_rope(base, std::move(scaling), on_scaled);
  } catch (const Error& e) {
    if (e.code() == ExitCode::kModel) throw;
    fail(ExitCode::kUsage, "--rope: {}; the option is --on-scaled", e.what());
  }
}

}  // namespace longspan
