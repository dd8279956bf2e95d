#include "tools/support/attention_option.h"

#include "recipes/yaml.h"

namespace longspan {

std::shared_ptr<AttentionPattern> read_attention_option(const Arguments& arguments) {
  constexpr const char* kOption = "--attention";
  if (!arguments.given("attention") && !arguments.given("group-size")) return nullptr;
  Diagnostics diagnostics;
  Json map = read_yaml_override(arguments["attention"], kOption, diagnostics);
  diagnostics.throw_if_any(ExitCode::kUsage);
  if (map.is_string()) map = {{"pattern", map}};
  if (arguments.given("group-size")) {
    Json pattern = map.is_object() ? map.value("pattern", Json()) : Json();
    if (pattern != "shifted_sparse") {
      fail(ExitCode::kUsage, "--group-size: is for --attention shifted_sparse, not {}",
           arguments.given("attention") ? arguments["attention"] : "the model's own");
    }
    if (map.contains("group_size")) {
      fail(ExitCode::kUsage, "--group-size: {} says group_size too, expected one of the two",
           kOption);
    }
    map["group_size"] = parse_length(arguments["group-size"], "--group-size");
  }
  auto pattern = read_attention_pattern(Fields(map, diagnostics, kOption));
  diagnostics.throw_if_any(ExitCode::kUsage);
  return pattern;
}

}  // namespace longspan
