#include "checkpoints/dtype.h"
#include "checkpoints/model_source.h"
#include "checkpoints/run_state/checkpoint_store.h"
#include "src/core/log.h"
#include "src/core/text.h"
#include "tools/support/command.h"
#include "trainer/card/model_card.h"

namespace longspan {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view kCardExample = "  longspan card runs/quickstart/merged";

void require_folder(const fs::path& folder) {
  if (!fs::is_directory(folder)) {
    fail(ExitCode::kUsage, "{}: there is no such folder", folder.string());
  }
}

/// A card that a person wrote is not replaced.
void require_own_card(const fs::path& readme, bool force) {
  if (force || !fs::exists(readme)) return;
  if (read_file(readme, ExitCode::kFailure).find("\n- longspan\n") != std::string::npos) return;
  fail(ExitCode::kUsage, "{}: was not written by longspan; --force replaces it", readme.string());
}

ModelCardSources sources_of(const fs::path& folder, const cxxopts::ParseResult& parsed) {
  ModelCardSources sources;
  if (parsed.count("base")) sources.base = parsed["base"].as<std::string>();
  fs::path run = parsed.count("run") ? fs::path(parsed["run"].as<std::string>())
                                     : fs::absolute(folder / "").parent_path().parent_path();
  if (parsed.count("run")) {
    require_folder(run);
    sources.run = run;
  }
  if (fs::exists(folder / "adapter_config.json")) {
    sources.adapter = folder;
    return sources;
  }
  auto checkpoint = CheckpointStore(run / "checkpoints").newest();
  if (!checkpoint) {
    fail(ExitCode::kUsage, "{}: has no checkpoints; give the run of {} with --run", run.string(),
         folder.string());
  }
  sources.adapter = *checkpoint;
  sources.merged = folder;
  sources.merged_dtype = torch_dtype(main_dtype(*open_model_source(folder)));
  sources.run = run;
  return sources;
}

}  // namespace

int card_command(int argc, char** argv) {
  cxxopts::Options options("longspan card",
                           "Write the model card (README.md) of a merged model or an adapter anew: "
                           "with the results of\n'longspan eval' that are in its run folder by "
                           "now.\n");
  options.add_options()("folder", "merged model or adapter", cxxopts::value<std::string>())(
      "run", "its run folder (default: the one it lies in)", cxxopts::value<std::string>(), "DIR")(
      "base", "base model (default: what the adapter names)", cxxopts::value<std::string>(),
      "MODEL")("force", "replace a card that longspan did not write")("h,help", "this help");
  options.parse_positional({"folder"});
  options.positional_help("DIR");
  auto parsed = parse_command_line(options, argc, argv, kCardExample);
  if (!parsed) return 0;
  if (!parsed->count("folder")) {
    fail(ExitCode::kUsage, "longspan card: expected DIR; see longspan card -h");
  }
  fs::path folder = (*parsed)["folder"].as<std::string>();
  require_folder(folder);
  require_own_card(folder / "README.md", parsed->count("force") > 0);
  write_model_card(folder, sources_of(folder, *parsed));
  log_info(fmt::format("card: {}", (folder / "README.md").string()));
  return 0;
}

}  // namespace longspan
