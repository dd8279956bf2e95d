#include "tools/support/output_file.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <string>
#include <string_view>

#include "src/core/atomic_file.h"
#include "src/core/error.h"
#include "src/core/stop_signal.h"

namespace longspan {

namespace fs = std::filesystem;

namespace {

/// Whether a model is read from files of such a name: config.json,
/// model-00001-of-00002.safetensors.
bool is_read_from(const fs::path& file) {
  constexpr std::string_view kBeginnings[] = {"config.",
                                              "generation_config.",
                                              "model",
                                              "pytorch_model",
                                              "consolidated.",
                                              "params.",
                                              "tokenizer",
                                              "special_tokens_map",
                                              "vocab.",
                                              "merges.",
                                              "adapter_",
                                              "chat_template",
                                              "added_tokens.",
                                              "tekken.",
                                              "trainable_params."};
  const std::string name = file.filename().string();
  return std::any_of(std::begin(kBeginnings), std::end(kBeginnings),
                     [&](std::string_view beginning) { return name.starts_with(beginning); });
}

}  // namespace

void require_output(const fs::path& out, const std::vector<fs::path>& inputs) {
  // "none/../x" is nothing until the folder "none" is made for it, and x from then on.
  for (const fs::path& place : {out, out.lexically_normal()}) {
    const fs::path folder = place.has_parent_path() ? place.parent_path() : fs::path(".");
    std::vector<fs::path> kept = inputs;
    for (const fs::path& input : inputs) {
      std::error_code unknown;
      if (fs::equivalent(folder, input, unknown) && is_read_from(place)) kept.push_back(place);
    }
    require_output_file(place, kept);
  }
}

void require_outputs_apart(const std::vector<std::pair<std::string, fs::path>>& options) {
  std::map<fs::path, std::string> written;
  for (const auto& [option, file] : options) {
    const fs::path place = without_trailing_slash(fs::absolute(file).lexically_normal());
    const auto [other, is_new] = written.try_emplace(place, option);
    if (is_new) continue;
    fail(ExitCode::kUsage, "--{} and --{}: both are {}, expected two files", other->second, option,
         file.string());
  }
}

void require_new_output(const fs::path& out, const Arguments& arguments) {
  if (arguments.given("force") || !fs::exists(out)) return;
  fail(ExitCode::kUsage, "{}: exists; give --force to replace it", out.string());
}

void require_not_stopped(std::string_view command) {
  if (stop_signal() == 0) return;
  fail(exit_code_of(stop_signal()), "{}: stopped by a signal; nothing was written", command);
}

}  // namespace longspan
