#include "tools/output_file.h"

#include <algorithm>
#include <string>
#include <string_view>

#include "src/core/atomic_file.h"

namespace longspan {

namespace fs = std::filesystem;

namespace {

/// Whether a model has files whose names begin so: config.json, model-00001-of-00002.safetensors.
bool is_of_a_model(const fs::path& file) {
  constexpr std::string_view kBeginnings[] = {
      "config.",       "generation_config.", "model",
      "pytorch_model", "consolidated.",      "params.",
      "tokenizer",     "special_tokens_map", "vocab.",
      "merges.",       "adapter_",           "chat_template",
      "added_tokens."};
  const std::string name = file.filename().string();
  return std::any_of(std::begin(kBeginnings), std::end(kBeginnings),
                     [&](std::string_view beginning) { return name.starts_with(beginning); });
}

}  // namespace

void require_output(const fs::path& out, std::vector<fs::path> inputs) {
  const fs::path folder = out.has_parent_path() ? out.parent_path() : fs::path(".");
  std::error_code unknown;
  const bool in_a_model = std::any_of(inputs.begin(), inputs.end(), [&](const fs::path& input) {
    return fs::equivalent(folder, input, unknown) && is_of_a_model(out);
  });
  if (in_a_model) inputs.push_back(out);
  require_output_file(out, inputs);
}

}  // namespace longspan
