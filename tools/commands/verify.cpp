#include <algorithm>

#include "checkpoints/adapters/adapted_model.h"
#include "checkpoints/hf/hf_config.h"
#include "checkpoints/run_state/checkpoint_store.h"
#include "src/core/atomic_file.h"
#include "src/core/log.h"
#include "src/core/text.h"
#include "src/model/context_length.h"
#include "tools/commands/commands.h"
#include "tools/support/model_comparison.h"
#include "tools/support/open_model.h"
#include "tools/support/read_text.h"
#include "tools/support/shared_options.h"
#include "tools/support/text_model.h"
#include "trainer/figures/table.h"

namespace longspan {

namespace fs = std::filesystem;

namespace {

constexpr Option kVerifyArguments[] = {
    {"paths", "MODEL...", "", "run folder with an exported model, or two or more models"},
};
constexpr Option kVerifyOptions[] = {
    {"base", "MODEL", "", "base of the adapters (default: what they name)"},
    {"lengths", "LIST", "",
     "tokens read (default: 256 and the model's context or 4 windows, up to 32K)"},
    {"last", "N", "64", "how many last tokens are compared"},
    {"text", "FILE", "", "read this text (default: made ids)"},
    {"dtype", "DTYPE", "float32", "to compute in", "", computed_dtypes},
    {"tolerance", "X", "", "largest |difference| / |logits| (default: by how the model is stored)"},
    {"threads", "N", "", "processor threads (default: all)"},
    {"json", "", "", "print JSON"},
};
constexpr int64_t kShortLength = 256, kLongestByDefault = 32768;

bool is_model(const fs::path& path) {
  return lower_case(path.extension().string()) == ".gguf" ||
         (fs::exists(path / "config.json") && !is_adapter(path));
}

/// An adapter on the base that --base names, or the adapter itself.
ComparedModel adapted_model(const fs::path& folder, const std::string& base) {
  auto adapter = std::make_shared<const PeftAdapter>(read_peft_adapter(folder));
  const std::string& named = base.empty() ? adapter->base_model_name_or_path : base;
  if (named.empty()) {
    fail(ExitCode::kUsage, "{}: names no base model; give it with --base", folder.string());
  }
  return {named, folder, adapter};
}

/// A run stands for its newest checkpoint on its base, and for all that was exported into it.
std::vector<ComparedModel> models_of(const fs::path& path, const std::string& base) {
  if (is_adapter(path)) return {adapted_model(path, base)};
  auto checkpoint = CheckpointStore(path / "checkpoints").newest();
  if (!checkpoint) return {{path, {}, nullptr}};
  std::vector<fs::path> exported;
  for (const auto& entry : fs::directory_iterator(path)) {
    fs::path ending = entry.path().extension();  // ".older" is what a killed export set aside
    bool unfinished = ending == ".partial" || ending == ".older";
    if (!unfinished && is_model(entry.path())) exported.push_back(entry.path());
  }
  std::sort(exported.begin(), exported.end());
  std::vector<ComparedModel> models{adapted_model(*checkpoint, base)};
  for (const auto& model : exported) models.push_back({model, {}, nullptr});
  return models;
}

/// The run that a lone exported model lies in: what it is to be compared with.
std::vector<ComparedModel> with_its_run(const ComparedModel& exported, const std::string& base) {
  const fs::path run = without_trailing_slash(fs::absolute(exported.model)).parent_path();
  auto checkpoint = CheckpointStore(run / "checkpoints").newest();
  if (exported.adapter || !checkpoint) return {exported};
  return {adapted_model(*checkpoint, base), exported};
}

/// Its own length, and a short one.
std::vector<int64_t> default_lengths(const ComparedModel& reference) {
  auto source = open_model_source(reference.model);
  ModelConfig config =
      reference.adapter ? adapted_config(*source, *reference.adapter) : read_hf_config(*source);
  int64_t target = context_length(config).usable;
  if (config.attention) target *= 4;  // under focused memory that is a window; others come before
  if (target > kLongestByDefault) {
    double ratio = double(target) / double(kLongestByDefault);
    log_warning(
        "the target length is {} tokens; compared at {} (--lengths {},{} takes "
        "the time of {:.1f} times as many pairs)",
        human_count(target), human_count(kLongestByDefault), kShortLength, target, ratio * ratio);
    target = kLongestByDefault;
  }
  if (target <= kShortLength) return {target};
  return {kShortLength, target};
}

void read_compared_text(const std::string& path, const ComparedModel& reference,
                        ComparisonOptions& options) {
  auto text_model = open_text_model(reference.model);
  for (int32_t id : text_model.tokenizer->encode(read_text(path))) {
    options.text_ids.push_back(id);
  }
  int64_t longest = *std::max_element(options.lengths.begin(), options.lengths.end());
  if (static_cast<int64_t>(options.text_ids.size()) < longest) {
    fail(ExitCode::kData, "{}: has {} tokens, the longest length is {}; give a longer text", path,
         options.text_ids.size(), longest);
  }
}

std::vector<std::string> cells(const std::string& first, const Json& length, const Json& d) {
  auto number = [&](const char* key) { return d.at(key).get<double>(); };
  return {first,
          human_count(length.get<int64_t>()),
          fmt::format("{:.2g}", number("max_abs")),
          fmt::format("{:.2g}", number("relative")),
          fmt::format("{:.1f}%", 100 * number("argmax_agreement")),
          fmt::format("{:.2g}", number("kl")),
          fmt::format("{:.2g}", number("largest_kl"))};
}

void print_text(const Json& report) {
  fmt::print("reference  {}\n", report["reference"].get<std::string>());
  for (const auto& model : report["models"]) {
    bool equal = model["equal"].get<bool>();
    fmt::print("\n{}  {} ({})\n", equal ? "equal    " : "DIFFERENT",
               model["model"].get<std::string>(), model["stored_as"].get<std::string>());
    if (model.contains("problem")) fmt::print("{}\n", model["problem"].get<std::string>());
    if (!model.contains("rows")) continue;
    Table table{"",
                {"to the reference", "tokens", "max abs", "relative", "argmax", "KL", "max KL"}};
    auto add_rows = [&](const std::string& name, const char* key) {
      for (const auto& row : model["rows"]) {
        table.rows.push_back(cells(name, row["length"], row[key]));
      }
    };
    if (!model["quantized"].get<bool>()) {
      add_rows(fmt::format("in {}", model["stored_as"].get<std::string>()), "equally_rounded");
    }
    add_rows("as it is", "as_stored");
    fmt::print("{}", text_table(table));
    fmt::print("allowed: relative {:.2g} in the first rows\n", model["tolerance"].get<double>());
  }
}

std::vector<ComparedModel> read_models(const Arguments& arguments) {
  std::string base = arguments.given("base") ? arguments["base"] : "";
  std::vector<ComparedModel> models;
  for (const auto& path : arguments.all("paths")) {
    auto more = models_of(path, base);
    models.insert(models.end(), more.begin(), more.end());
  }
  if (models.size() == 1) models = with_its_run(models.front(), base);
  if (models.size() < 2) {
    fail(ExitCode::kUsage,
         "longspan verify: expected a run folder with an exported model, or two or more models; "
         "found {}; see longspan verify -h",
         models.empty() ? "none" : models.front().label());
  }
  return models;
}

int run_verify(const Arguments& arguments) {
  set_threads(arguments);

  std::vector<ComparedModel> models = read_models(arguments);
  for (const auto& model : models) open_model_source(model.model);  // better now than after minutes
  const ComparedModel& first = models.front();
  ComparisonOptions how;
  how.dtype = parse_dtype(arguments["dtype"]);
  how.last = arguments.number<int64_t>("last");
  if (how.last < 1) fail(ExitCode::kUsage, "--last: {} is not positive", how.last);
  if (arguments.given("tolerance")) {
    how.tolerance = arguments.number<double>("tolerance");
    if (!(how.tolerance > 0))
      fail(ExitCode::kUsage, "--tolerance: {} is not positive", how.tolerance);
  }
  how.lengths = arguments.given("lengths") ? parse_lengths(arguments["lengths"], "--lengths")
                                           : default_lengths(first);
  if (arguments.given("text")) read_compared_text(arguments["text"], first, how);

  ReferenceModel reference(first, how);
  Json report = {{"reference", first.label()}, {"lengths", how.lengths}, {"last", how.last}};
  bool equal = true;
  for (size_t i = 1; i < models.size(); ++i) {
    Json result = reference.compare(models[i]);
    equal = equal && result["equal"].get<bool>();
    report["models"].push_back(std::move(result));
  }
  report["equal"] = equal;
  if (arguments.given("json")) {
    fmt::print("{}\n", json_text(report));
  } else {
    print_text(report);
  }
  return static_cast<int>(equal ? ExitCode::kOk : ExitCode::kFailure);
}

}  // namespace

constinit const Command kVerifyCommand{
    .name = "verify",
    .summary = "compare what was exported with base + checkpoint",
    .description =
        "Reload what was exported and compare its logits with the first: base + newest checkpoint "
        "of a run folder, or the first of several models (folder, GGUF, adapter). A model stored "
        "in bfloat16 is compared with the reference rounded to bfloat16 on another way, so that "
        "what remains is error, not rounding. A quantised GGUF may differ from the reference twice "
        "as much as the same blocks change it. Exit code: 0 equal, 1 one is different, 5 one "
        "cannot be read.",
    .example =
        "  longspan verify runs/quickstart\n"
        "  longspan verify runs/quickstart/checkpoints/step-000006 merged model-q8_0.gguf "
        "--lengths 256,8K",
    .arguments = kVerifyArguments,
    .options = {kVerifyOptions},
    .run = run_verify,
};

}  // namespace longspan
