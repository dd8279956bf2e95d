#include <fnmatch.h>

#include <algorithm>
#include <limits>
#include <set>

#include "checkpoints/hf/hf_tokenizer.h"
#include "src/core/atomic_file.h"
#include "src/core/disk_space.h"
#include "src/core/log.h"
#include "src/core/text.h"
#include "tools/commands/commands.h"
#include "tools/hub/hub_client.h"
#include "tools/support/arguments.h"

namespace longspan {

namespace fs = std::filesystem;

namespace {

constexpr Option kPullArguments[] = {
    {"model", "ORG/NAME", "", "ORG/NAME or ORG/NAME@REVISION"},
};
constexpr Option kPullOptions[] = {
    {"revision", "REVISION", "", "branch, tag or commit (default: main)"},
    {"include", "PATTERN...", "", "only files that match, e.g. '*.gguf'; may be given again"},
};

const std::string kTemplateFolder = fmt::format("{}/", kChatTemplatesFolder);

/// What a model is read from, beside its weights.
const std::set<std::string> kSideFiles = {"config.json",
                                          "generation_config.json",
                                          "tokenizer.json",
                                          "tokenizer_config.json",
                                          "tokenizer.model",
                                          "special_tokens_map.json",
                                          "added_tokens.json",
                                          "vocab.json",
                                          "merges.txt",
                                          "tekken.json",
                                          "chat_template.json",
                                          "chat_template.jinja",
                                          "adapter_config.json",
                                          "trainable_params.bin",
                                          kTemplateFolder + "*.jinja"};

bool matches(const std::string& name, const std::string& pattern) {
  return fnmatch(pattern.c_str(), name.c_str(), 0) == 0;
}

bool any_matches(const std::vector<HubFile>& files, const std::string& pattern) {
  return std::any_of(files.begin(), files.end(),
                     [&](const HubFile& file) { return matches(file.name, pattern); });
}

/// Weights once: safetensors before PyTorch's; no other program's copies in folders or as GGUF.
std::vector<std::string> default_patterns(const std::vector<HubFile>& files,
                                          const HubModel& model) {
  std::vector<std::string> patterns(kSideFiles.begin(), kSideFiles.end());
  struct Weights {
    const char *safetensors, *pytorch;
  };
  bool found = false;
  for (auto [safetensors, pytorch] : {Weights{"model*.safetensors", "pytorch_model*.bin"},
                                      Weights{"adapter_model.safetensors", "adapter_model.bin"}}) {
    bool has = any_matches(files, safetensors);
    if (!has && !any_matches(files, pytorch)) continue;
    patterns.emplace_back(has ? safetensors : pytorch);
    patterns.push_back(patterns.back() + ".index.json");
    found = true;
  }
  if (found) return patterns;
  if (any_matches(files, "*.gguf")) {
    fail(ExitCode::kUsage,
         "{}: has GGUF files only; choose among them with --include, e.g. --include '*Q8_0.gguf'",
         model.id);
  }
  fail(ExitCode::kModel,
       "{}: has neither safetensors nor pytorch_model.bin; --include FILE takes "
       "what you name",
       model.id);
}

std::vector<HubFile> chosen(const HubRevision& revision, std::vector<std::string> patterns,
                            const HubModel& model) {
  bool all_folders = !patterns.empty();
  if (!all_folders) patterns = default_patterns(revision.files, model);
  std::vector<HubFile> files;
  for (const auto& file : revision.files) {
    const bool is_in_a_folder =
        file.name.find('/') != file.name.npos && !file.name.starts_with(kTemplateFolder);
    if (!all_folders && is_in_a_folder) continue;
    if (std::any_of(patterns.begin(), patterns.end(),
                    [&](const auto& pattern) { return matches(file.name, pattern); })) {
      files.push_back(file);
    }
  }
  if (files.empty()) {
    fail(ExitCode::kUsage, "{}: no file matches {}", model.id, join(patterns, ", "));
  }
  return files;
}

/// snapshots/COMMIT/NAME -> ../../blobs/DIGEST, as huggingface_hub links.
void link(const fs::path& pointer, const fs::path& blob) {
  fs::create_directories(pointer.parent_path());
  std::error_code ignored;
  fs::remove(pointer, ignored);
  fs::create_symlink(fs::relative(blob, pointer.parent_path()), pointer);
}

/// refs/REVISION holds the commit; written last, so that it names a whole snapshot.
void write_ref(const fs::path& repository, const std::string& revision, const std::string& commit) {
  if (revision == commit) return;
  fs::path ref = repository / "refs" / revision;
  fs::create_directories(ref.parent_path());
  write_file(ref, commit);
}

void require_space(const fs::path& repository, const std::vector<HubFile>& files) {
  int64_t bytes = 0;
  for (const auto& file : files) {
    fs::path blob = repository / "blobs" / file.digest;
    if (fs::exists(blob)) continue;
    std::error_code none;
    auto part = fs::file_size(blob.string() + ".incomplete", none);
    int64_t lacking = file.size - (none ? 0 : std::min(file.size, static_cast<int64_t>(part)));
    // The sizes are what a server claims.
    if (__builtin_add_overflow(bytes, lacking, &bytes)) bytes = std::numeric_limits<int64_t>::max();
  }
  require_disk_space(repository, bytes);
}

fs::path pull(const HubModel& model, const std::vector<std::string>& patterns) {
  HubClient hub;
  HubRevision revision = hub.revision(model);
  std::vector<HubFile> files = chosen(revision, patterns, model);
  fs::path repository = cached_repository(model);
  fs::path snapshot = repository / "snapshots" / revision.commit;
  fs::create_directories(repository / "blobs");
  require_space(repository, files);
  for (size_t i = 0; i < files.size(); ++i) {
    const HubFile& file = files[i];
    fs::path blob = repository / "blobs" / file.digest;
    if (!fs::exists(blob)) {
      log_info("{} of {}: {} ({})", i + 1, files.size(), file.name, human_bytes(file.size));
      hub.download(model, revision.commit, file, blob);
    }
    if (!fs::exists(snapshot / file.name)) link(snapshot / file.name, blob);
  }
  write_ref(repository, model.revision, revision.commit);
  return snapshot;
}

int run_pull(const Arguments& arguments) {
  auto text = arguments["model"];
  if (arguments.given("revision")) text += "@" + arguments["revision"];
  auto model = parse_hub_model(text);
  if (!model) fail(ExitCode::kUsage, "longspan pull: '{}' is no ORG/NAME of the hub", text);
  fmt::print("{}\n", pull(*model, arguments.all("include")).string());
  return 0;
}

}  // namespace

constinit const Command kPullCommand{
    .name = "pull",
    .summary = "download a model from the Hugging Face hub",
    .description =
        "Download a model from the Hugging Face hub into the cache that huggingface_hub uses: "
        "config, tokenizer and the weights once. Prints its folder. Goes on where it was "
        "interrupted; every checksum is compared. HF_TOKEN, HF_HOME, HF_HUB_CACHE and HF_ENDPOINT "
        "act as there.",
    .example =
        "  longspan pull HuggingFaceTB/SmolLM2-135M\n"
        "  longspan pull ORG/NAME --revision v1.0 --include '*.gguf'",
    .arguments = kPullArguments,
    .options = {kPullOptions},
    .run = run_pull,
};

}  // namespace longspan
