#include "recipes/override.h"
#include "recipes/yaml.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace longspan;
  const std::string text(reinterpret_cast<const char*>(data), size);
  Diagnostics diagnostics("x");
  Json value = read_yaml(text, "x", diagnostics);
  apply_overrides({text.substr(0, 200)}, value, diagnostics);
  write_yaml(value);
  return 0;
}
