#include "trainer/card/model_card.h"

#include <algorithm>
#include <exception>
#include <fstream>

#include "checkpoints/adapters/adapted_model.h"
#include "checkpoints/adapters/peft_adapter.h"
#include "checkpoints/hf/hf_config.h"
#include "checkpoints/hf/hub_cache.h"
#include "checkpoints/rope_description.h"
#include "checkpoints/run_state/train_state.h"
#include "src/core/atomic_file.h"
#include "src/core/log.h"
#include "src/core/text.h"
#include "src/model/context_length.h"
#include "trainer/card/model_card_results.h"

namespace longspan {

namespace fs = std::filesystem;

namespace {

struct Facts {
  PeftAdapter adapter;
  std::string base, name;
  std::optional<ModelConfig> before, now;
  Json state;               // state.json; null when the adapter is no checkpoint
  std::vector<Json> steps;  // lines of metrics.jsonl up to the checkpoint's step
  std::vector<CardResult> results;
};

/// What a damaged or missing file does not tell is not said.
template <class Read>
auto if_readable(const Read& read) -> std::optional<decltype(read())> {
  try {
    return read();
  } catch (const Error&) {
    return std::nullopt;
  }
}

std::vector<Json> read_metrics(const fs::path& path, int64_t last_step) {
  std::vector<Json> steps;
  std::ifstream lines(path);
  for (std::string line; std::getline(lines, line);) {
    Json step = Json::parse(line, nullptr, /*allow_exceptions=*/false);
    const Json number = step.is_object() ? step.value("step", Json()) : Json();
    if (number.is_number_integer() && number <= last_step) steps.push_back(step);
  }
  return steps;
}

std::string name_of(fs::path path) {
  path = without_trailing_slash(fs::absolute(path));
  std::string name = path.filename().string();
  // A checkpoint is written under AtomicFolder's name.
  name.resize(std::min(name.size(), name.find(".part-")));
  bool generic = name == "merged" || name.starts_with("step-");
  if (!generic) return name;
  fs::path above = path.parent_path();
  if (above.filename() == "checkpoints") above = above.parent_path();
  return fmt::format("{} ({})", above.filename().string(), name);
}

Facts gather(const ModelCardSources& sources) {
  Facts facts;
  facts.adapter = read_peft_adapter(sources.adapter);
  facts.base = sources.base.empty() ? facts.adapter.base_model_name_or_path : sources.base;
  facts.name = name_of(sources.merged.value_or(sources.adapter));
  if (auto base = if_readable([&] { return open_model_source(facts.base); })) {
    facts.before = read_hf_config(**base);
    facts.now = adapted_config(**base, facts.adapter);
  } else if (!facts.adapter.config_json.is_null()) {
    facts.now = read_hf_config(facts.adapter.config_json, sources.adapter.string());
  }
  fs::path run = sources.run.value_or(
      without_trailing_slash(fs::absolute(sources.adapter)).parent_path().parent_path());
  auto state = if_readable(
      [&] { return read_json_file(sources.adapter / kTrainStateFile, ExitCode::kModel); });
  if (state && state->is_object()) {
    facts.state = std::move(*state);
    facts.steps = read_metrics(run / "metrics.jsonl", facts.state.value("step", int64_t{0}));
    facts.results = read_card_results(run, sources.merged.value_or(sources.adapter));
  }
  return facts;
}

/// "ORG/NAME" of a name that is no path here, or of a snapshot in the cache.
std::string hub_id(const std::string& base) {
  if (!fs::exists(base)) {
    auto model = parse_hub_model(base);
    return model && model->id.find('/') != std::string::npos ? model->id : "";
  }
  for (const auto& part : fs::absolute(base)) {
    std::string name = part.string();
    constexpr std::string_view kModels = "models--";
    if (!name.starts_with(kModels)) continue;
    name = name.substr(kModels.size());
    if (auto dashes = name.find("--"); dashes != name.npos) name.replace(dashes, 2, "/");
    return name;
  }
  return "";
}

/// The lines of the base's own card that state its license.
std::vector<std::string> license_lines(const std::string& base) {
  std::vector<std::string> found;
  auto folder = look_up_model(base);
  if (!folder) return found;
  std::ifstream card(*folder / "README.md");
  std::string line;
  if (!std::getline(card, line) || line != "---") return found;
  while (std::getline(card, line) && line != "---") {
    if (line.starts_with("license")) found.push_back(line);
  }
  return found;
}

std::string front_matter(const Facts& facts, bool merged) {
  merged |= facts.adapter.lora.none;  // a model by itself
  std::string text = "---\n";
  if (std::string id = hub_id(facts.base); !id.empty()) {
    text += fmt::format("base_model: {}\nbase_model_relation: {}\n", id,
                        merged ? "finetune" : "adapter");
  }
  text += fmt::format("library_name: {}\npipeline_tag: text-generation\n",
                      merged ? "transformers" : "peft");
  for (const auto& line : license_lines(facts.base)) text += line + "\n";
  text += "tags:\n- longspan\n- long-context\n";
  if (!facts.adapter.lora.none) text += "- lora\n";
  if (facts.now && facts.now->rope_scaling->rope_type() != "default") {
    text += fmt::format("- {}\n", facts.now->rope_scaling->rope_type());
  }
  return text + "---\n";
}

std::string context_section(const Facts& facts) {
  if (!facts.now) return "";
  std::string text = "\n## Context\n\n| | context (tokens) | RoPE |\n|---|---|---|\n";
  auto row = [](const char* name, const ModelConfig& config) {
    return fmt::format("| {} | {} | {} |\n", name, human_count(context_length(config).usable),
                       describe_rope(config));
  };
  if (facts.before) text += row("base", *facts.before);
  return text + row("this model", *facts.now);
}

std::string lora_line(const LoraOptions& lora) {
  if (lora.none) return "all weights trained (full fine-tuning)";
  std::string text = fmt::format(
      "{} of rank {} (lora_alpha {:g}{}) on {}", lora.use_dora ? "DoRA" : "LoRA", lora.r,
      lora.lora_alpha, lora.use_rslora ? ", rank-stabilized" : "",
      lora.target_pattern.empty() ? join(lora.target_modules, ", ") : lora.target_pattern);
  if (!lora.modules_to_save.empty()) {
    text += fmt::format("; trained whole: {}", join(lora.modules_to_save, ", "));
  }
  return text;
}

/// How it attended; by the pattern's name alone where the model, or how to read the keys, is not
/// known.
std::string attention_cell(const Json& keys, const std::optional<ModelConfig>& model) {
  Diagnostics unread;
  const auto pattern = read_attention_pattern(Fields(keys, unread));
  std::string text = model && unread.empty()
                         ? pattern->describe(model->num_hidden_layers, model->num_attention_heads)
                         : keys.value("pattern", "full");
  if (keys.contains("group_size")) {
    text += fmt::format(", groups of {}", human_count(keys["group_size"].get<int64_t>()));
  }
  return text;
}

/// The stages of a run that has come to `step`, with the steps that it made in each; those that
/// take turns as they were planned.
Json begun_stages(const Json& identity, int64_t step) {
  Json stages = identity.value("stages", Json::array());
  if (identity.value("train", Json::object()).value("interleave", false)) return stages;
  Json begun = Json::array();
  for (Json& stage : stages) {
    if (step <= 0) break;
    const int64_t steps = stage.value("steps", int64_t{1});
    stage["steps"] = std::min(steps, step);
    begun.push_back(std::move(stage));
    step -= steps;
  }
  return begun;
}

std::string stage_table(const Json& stages, const std::optional<ModelConfig>& model) {
  std::string text =
      "\n| steps | tokens a sequence | sequences a step | attention |\n|---|---|---|---|\n";
  for (const auto& stage : stages) {
    auto number = [&](const char* key) { return stage.value(key, int64_t{1}); };
    text += fmt::format("| {} | {} | {} | {} |\n", number("steps"), human_count(number("seq_len")),
                        number("batch_size") * number("gradient_accumulation_steps"),
                        attention_cell(stage.value("attention", Json::object()), model));
  }
  return text + "\n";
}

std::string loss_line(const std::vector<Json>& steps) {
  if (steps.empty()) return "";
  auto number = [](const Json& step, const char* key) { return step.value(key, 0.0); };
  double seconds = 0, peak = 0;
  for (const auto& step : steps) {
    seconds += number(step, "step_seconds");
    peak = std::max(peak, number(step, "peak_memory_bytes"));
  }
  // Runs before there was a choice say nothing.
  const bool on_gpu = steps.back().value("device", "cpu") != "cpu";
  return fmt::format(
      "- training loss {:.4f} at step {}, {:.4f} at step {} (each of its own texts: no measure of "
      "progress by itself)\n- {} of training on a {}, {} of its memory at most\n",
      number(steps.front(), "loss"), steps.front().value("step", int64_t{0}),
      number(steps.back(), "loss"), steps.back().value("step", int64_t{0}), human_duration(seconds),
      on_gpu ? "GPU" : "CPU", human_bytes(peak));
}

/// `data`: of a token store; empty: no line.
std::string data_line(std::string_view name, const Json& data) {
  if (!data.contains("tokens")) return "";
  std::string text =
      fmt::format("- {}: {} tokens of documents", name, human_count(data["tokens"].get<int64_t>()));
  if (data.contains("tokens_sha256")) {
    text += fmt::format("; SHA-256 of the tokens {}", data["tokens_sha256"].get<std::string>());
  }
  return text + "\n";
}

std::string training_section(const Facts& facts) {
  std::string text = fmt::format("\n## Training\n\n- {}\n", lora_line(facts.adapter.lora));
  if (facts.state.is_null()) return text;
  text += fmt::format("- {} steps of AdamW, {} tokens\n", facts.state.value("step", int64_t{0}),
                      human_count(facts.state.value("tokens", int64_t{0})));
  Json identity = facts.state.value("identity", Json::object());
  Json optimizer = identity.value("optimizer", Json::object());
  Json schedule = identity.value("lr_schedule", Json::object());
  if (optimizer.contains("lr")) {
    text +=
        fmt::format("- learning rate {}, schedule {} (warmup_steps {})\n", optimizer["lr"].dump(),
                    schedule.value("type", "constant"), schedule.value("warmup_steps", int64_t{0}));
  }
  text += data_line("data", identity.value("data", Json::object()));
  const Json stages = begun_stages(identity, facts.state.value("step", int64_t{0}));
  for (size_t i = 0; i < stages.size(); ++i) {
    text += data_line(fmt::format("data of stage {}", i), stages[i].value("data", Json::object()));
  }
  text += loss_line(facts.steps);
  if (!stages.empty()) text += stage_table(stages, facts.now);
  return text;
}

std::string introduction(const Facts& facts, const ModelCardSources& sources) {
  const bool whole = facts.adapter.lora.none;
  std::string what = whole            ? "by training all weights"
                     : sources.merged ? "merged into the weights"
                                      : "as a PEFT adapter";
  if (sources.merged && !sources.merged_dtype.empty()) {
    what += fmt::format(" ({})", sources.merged_dtype);
  }
  std::string id = hub_id(facts.base);
  std::string base = id.empty() ? without_trailing_slash(facts.base).filename().string() : id;
  if (base.empty()) base = "its base model";
  return fmt::format("\n# {}\n\n{} with its context extended by longspan, {}.\n", facts.name, base,
                     what);
}

/// PEFT ignores the config.json beside an adapter, where its RoPE is.
std::string usage_section(const Facts& facts) {
  if (facts.adapter.config_json.is_null() || facts.base.empty()) return "";
  if (facts.adapter.lora.none) {
    return fmt::format(R"(
## Use

transformers loads this folder. The tokenizer is that of {}; `longspan merge BASE "this folder" OUT`
writes both into one folder.
)",
                       facts.base);
  }
  return fmt::format(R"(
## Use

PEFT takes the base model's RoPE unless it is given this folder's `config.json`:

```python
config = AutoConfig.from_pretrained("this folder")
base = AutoModelForCausalLM.from_pretrained("{}", config=config)
model = PeftModel.from_pretrained(base, "this folder")
```

or merge the two: `longspan merge BASE "this folder" OUT`.
)",
                     facts.base);
}

}  // namespace

std::string model_card(const ModelCardSources& sources) try {
  Facts facts = gather(sources);
  return front_matter(facts, sources.merged.has_value()) + introduction(facts, sources) +
         context_section(facts) + (sources.merged ? "" : usage_section(facts)) +
         training_section(facts) +
         results_sections(facts.results, facts.now ? context_length(*facts.now).usable : 0);
} catch (const Json::exception& e) {
  fail(ExitCode::kCheckpoint,
       "{}: its state.json, or metrics.jsonl or results of eval of its run, is damaged ({}); mend "
       "or remove it",
       sources.adapter.string(), e.what());
}

void write_model_card(const fs::path& folder, const ModelCardSources& sources) {
  write_file(folder / "README.md", model_card(sources));
}

void add_model_card(const fs::path& folder, const ModelCardSources& sources) {
  try {
    write_model_card(folder, sources);
  } catch (const std::exception& e) {
    log_warning("{}: no model card: {}", folder.string(), e.what());
  }
}

}  // namespace longspan
