#include "checkpoints/dtype.h"
#include "checkpoints/model_source.h"
#include "checkpoints/run_state/checkpoint_store.h"
#include "src/core/atomic_file.h"
#include "src/core/log.h"
#include "src/core/text.h"
#include "tools/commands/commands.h"
#include "tools/support/arguments.h"
#include "trainer/card/model_card.h"

namespace longspan {

namespace fs = std::filesystem;

namespace {

constexpr Option kCardArguments[] = {
    {"folder", "DIR", "", "merged model or adapter"},
};
constexpr Option kCardOptions[] = {
    {"run", "DIR", "", "its run folder (default: the one it lies in)"},
    {"base", "MODEL", "", "base model (default: what the adapter names)"},
    {"force", "", "", "replace a card that longspan did not write"},
};

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

ModelCardSources sources_of(const fs::path& folder, const Arguments& arguments) {
  ModelCardSources sources;
  if (arguments.given("base")) sources.base = arguments["base"];
  fs::path run = arguments.given("run")
                     ? fs::path(arguments["run"])
                     : without_trailing_slash(fs::absolute(folder)).parent_path();
  if (arguments.given("run")) {
    require_folder(run);
    sources.run = run;
  }
  if (is_adapter(folder)) {
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

int run_card(const Arguments& arguments) {
  fs::path folder = arguments["folder"];
  require_folder(folder);
  require_own_card(folder / "README.md", arguments.given("force"));
  write_model_card(folder, sources_of(folder, arguments));
  log_info("card: {}", (folder / "README.md").string());
  return 0;
}

}  // namespace

constinit const Command kCardCommand{
    .name = "card",
    .summary = "write a model card with the results of eval",
    .description =
        "Write the model card (README.md) of a merged model or an adapter anew: with the results "
        "of 'longspan eval' that are in its run folder by now.",
    .example = "  longspan card runs/quickstart/merged",
    .arguments = kCardArguments,
    .options = {kCardOptions},
    .run = run_card,
};

}  // namespace longspan
