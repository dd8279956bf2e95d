#include "tools/rope_option.h"

#include "recipes/yaml.h"

namespace longspan {

namespace {

std::shared_ptr<const RopeScaling> read_option(const std::string& text) {
  Diagnostics diagnostics;
  Json map = read_yaml_override(text, "--rope", diagnostics);
  diagnostics.throw_if_any(ExitCode::kUsage);
  if (map.is_string()) map = read_json_file(map.get<std::string>(), ExitCode::kUsage);
  std::shared_ptr<const RopeScaling> scaling =
      read_rope_scaling(Fields(map, diagnostics, "--rope"));
  diagnostics.throw_if_any(ExitCode::kUsage);
  return scaling;
}

}  // namespace

void add_on_scaled_option(cxxopts::Options& options) {
  options.add_options()("on-scaled",
                        "--rope on a model whose RoPE is scaled already: replace that, compose "
                        "the two, or error",
                        cxxopts::value<std::string>()->default_value("error"), "MEANING");
}

RopeExtension extend_rope_by_option(const ModelConfig& base, const cxxopts::ParseResult& parsed) {
  auto scaling = read_option(parsed["rope"].as<std::string>());
  OnScaled on_scaled = parse_on_scaled(parsed["on-scaled"].as<std::string>(), "--on-scaled");
  try {
    return extend_rope(base, std::move(scaling), on_scaled);
  } catch (const Error& e) {
    fail(ExitCode::kUsage, "--rope: {}; the option is --on-scaled", e.what());
  }
}

}  // namespace longspan
