// Training steps on one long text by the Trainer that `longspan train` runs, and the figures that
// the Python peers' train_step.py prints for the same work.

#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <ctime>

#include "checkpoints/hf/hf_config.h"
#include "checkpoints/model_source.h"
#include "data/documents/document_files.h"
#include "data/documents/document_source.h"
#include "data/store/token_store.h"
#include "data/store/token_store_writer.h"
#include "data/tokenizers/tokenizer.h"
#include "recipes/recipe_model.h"
#include "recipes/recipe_plan.h"
#include "src/core/atomic_file.h"
#include "src/core/fields_writer.h"
#include "src/core/log.h"
#include "src/core/stopwatch.h"
#include "src/core/text.h"
#include "src/nn/device.h"
#include "src/nn/page_allocator.h"
#include "tools/bench/bench.h"
#include "tools/bench/kineto_trace.h"
#include "tools/bench/operator_profile.h"
#include "tools/bench/random_weights.h"
#include "tools/bench/timing.h"
#include "trainer/figures/table.h"
#include "trainer/plan/training_flops.h"
#include "trainer/trainer.h"

namespace longspan {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view kStepBenchExample =
    "  bench step --model models/SmolLM2-135M-Instruct --text emma.txt.gz --length 8192 \\\n"
    "      --attention s2 --steps 2 memory.recompute=selective --json > step.json";

/// Seconds that all threads of this process have computed.
double cpu_seconds_now() {
  timespec time;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

/// Keeps what the steps report.
class StepTimes : public Observer {
 public:
  struct Times {
    std::vector<double> seconds, cpu_seconds, losses;
    int64_t peak_memory_bytes = 0;
  };
  explicit StepTimes(Times& times) : times_(times) {}
  void run_begins(Trainer&) override { cpu_seconds_ = cpu_seconds_now(); }
  void step_ended(Trainer&, StepRecord& record) override {
    times_.seconds.push_back(record.step_seconds);
    times_.cpu_seconds.push_back(cpu_seconds_now() - cpu_seconds_);
    times_.losses.push_back(record.loss);
    times_.peak_memory_bytes = record.peak_memory_bytes;
    log_info("step {}: {:.2f} s, loss {:.4f}", record.step, record.step_seconds, record.loss);
    cpu_seconds_ = cpu_seconds_now();
  }

 private:
  Times& times_;
  double cpu_seconds_ = 0;
};

/// Writes what runs when in the run's last step. Added last: its records hold no other observer.
class TraceOfLastStep : public Observer {
 public:
  TraceOfLastStep(at::Device device, fs::path file) : device_(device), file_(std::move(file)) {}
  void run_begins(Trainer& trainer) override { begin_before_last(trainer); }
  void step_ended(Trainer& trainer, StepRecord&) override {
    if (trace_) trace_->save(file_);
    trace_.reset();
    begin_before_last(trainer);
  }

 private:
  void begin_before_last(const Trainer& trainer) {
    if (trainer.step() + 1 == total_steps(trainer.stages())) trace_.emplace(device_);
  }

  const at::Device device_;
  const fs::path file_;
  std::optional<KinetoTrace> trace_;
};

/// What the model's folder holds.
struct Base {
  std::unique_ptr<ModelSource> source;  // none where its weights are drawn
  ModelConfig config;
  Json tokenizer_json;
};

Base open_base(const cxxopts::ParseResult& parsed) {
  const fs::path folder = parsed["model"].as<std::string>();
  if (parsed.count("random-weights")) {
    const fs::path config = folder / "config.json";
    return {nullptr, read_hf_config(read_json_file(config, ExitCode::kModel), config.string()),
            read_json_file(folder / "tokenizer.json", ExitCode::kModel)};
  }
  auto source = open_model_source(folder.string());
  ModelConfig config = read_hf_config(*source);
  Json tokenizer_json = source->tokenizer_json();
  return {std::move(source), std::move(config), std::move(tokenizer_json)};
}

/// The first `length` tokens of the text as a token store of one document.
void write_tokens(const fs::path& store, const std::string& text, const Json& tokenizer_json,
                  const std::string& model, int64_t length) {
  auto tokenizer = make_tokenizer(tokenizer_json, model);
  auto document = open_documents(find_document_files({text}), {})->next();
  auto ids = tokenizer->encode(document ? document->text() : "");
  if (std::ssize(ids) < length) {
    fail(ExitCode::kData, "{}: has {} tokens, fewer than --length {}", text, ids.size(), length);
  }
  ids.resize(static_cast<size_t>(length));
  TokenStoreWriter writer(store, tokenizer->fingerprint(), tokenizer->vocab_size());
  writer.append(text, ids);
  writer.commit();
}

/// Modules whose parameters' names contain one of `words`, as train_step.py picks them.
std::vector<std::string> modules_named(const ModelConfig& config,
                                       const std::vector<std::string>& words) {
  std::vector<std::string> modules;
  make_causal_lm(config)->visit_parameters("", [&](const std::string& name, at::Tensor&) {
    const auto inside = [&](const std::string& word) {
      return !word.empty() && name.find(word) != name.npos;
    };
    if (std::any_of(words.begin(), words.end(), inside)) {
      modules.push_back(name.substr(0, name.rfind('.')));
    }
  });
  return modules;
}

/// The work of train_step.py as a recipe in `folder`, changed by the overrides of the command line.
Recipe make_recipe(const cxxopts::ParseResult& parsed, const ModelConfig& config,
                   const fs::path& folder) {
  Json attention = {{"pattern", "full"}};
  if (parsed["attention"].as<std::string>() == "s2") {
    attention = {{"pattern", "shifted_sparse"}, {"group_ratio", 0.25}};
    if (parsed.count("group-size")) {
      attention = {{"pattern", "shifted_sparse"},
                   {"group_size", parsed["group-size"].as<int64_t>()}};
    }
  }
  const Json recipe = {
      {"model",
       {{"path", parsed["model"].as<std::string>()}, {"dtype", parsed["dtype"].as<std::string>()}}},
      {"data", {{"path", (folder / "tokens.h5").string()}, {"shuffle", false}}},
      {"lora",
       {{"r", parsed["rank"].as<int64_t>()},
        {"lora_alpha", 16},
        {"target_modules", {"q_proj", "k_proj", "v_proj", "o_proj"}},
        {"modules_to_save",
         modules_named(config, split(parsed["trainable"].as<std::string>(), ','))}}},
      {"attention", attention},
      {"train",
       {{"steps", parsed["steps"].as<int64_t>()},
        {"seq_len", parsed["length"].as<int64_t>()},
        {"threads", parsed["threads"].as<int64_t>()}}},
      {"optimizer", {{"lr", 2e-5}, {"betas", {0.9, 0.95}}, {"weight_decay", 0.0}}},
      {"lr_schedule", {{"type", "constant"}, {"warmup_steps", 0}}},
      {"output", {{"dir", folder.string()}}}};
  write_json_file(folder / "recipe.yaml", recipe);
  std::vector<std::string> overrides;
  for (const auto& argument : parsed.arguments()) {
    if (argument.key() == "overrides") overrides.push_back(argument.value());
  }
  return load_recipe(folder / "recipe.yaml", overrides);
}

/// Of a step, without what is only computed again. The backward of attention makes the scores a
/// second time: 5 products, of which 4 count.
double useful_flops(const CausalLm& model, const Stage& stage) {
  const StepFlops flops = step_flops(model.config(), stage, {.recompute = Recompute::kNone},
                                     model.lm_head_weight().requires_grad());
  return flops.total() - flops.attention_backward / 5;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

double rounded(double value, double places) {
  return std::round(value * std::pow(10, places)) / std::pow(10, places);
}

Json rounded(std::vector<double> values, double places) {
  for (double& value : values) value = rounded(value, places);
  return values;
}

/// train_step.py's keys, and then ours.
Json result_of(const cxxopts::ParseResult& parsed, const Recipe& recipe, const Trainer& trainer,
               const CausalLm& model, const StepTimes::Times& times) {
  int64_t trained = 0;
  for (const auto& weight : trainer.optimizer().weights()) trained += weight.parameter.numel();
  const Stage& stage = recipe.stages.front();
  const auto tokens = static_cast<double>(stage.seq_len);
  // CPU time where one thread computes, so that other programs hardly change the ratio.
  const at::Device device = model.lm_head_weight().device();
  const bool one_thread = device.is_cpu() && at::get_num_threads() == 1;
  const auto& seconds = one_thread ? times.cpu_seconds : times.seconds;
  const double useful =
      1e-9 * useful_flops(model, stage) / *std::min_element(seconds.begin(), seconds.end());
  const double linear = linear_gflops(device);
  const MemoryOptions& memory = trainer.options().memory;
  return {{"peer", "longspan"},
          {"attention", parsed["attention"].as<std::string>()},
          {"dtype", recipe.model.dtype},
          {"length", stage.seq_len},
          {"checkpointing", memory.recompute != Recompute::kNone},
          {"trainable_parameters", trained},
          {"tokens_per_second",
           rounded(tokens / *std::min_element(times.seconds.begin(), times.seconds.end()), 2)},
          {"tokens_per_second_median", rounded(tokens / median(times.seconds), 2)},
          {"step_seconds", rounded(times.seconds, 2)},
          {"losses", rounded(times.losses, 4)},
          {device.is_cpu() ? "peak_rss_mib" : "peak_device_mib", times.peak_memory_bytes >> 20},
          {"peak_tensors_mib", page_use().peak_live >> 20},
          {"reserved_device_mib", device.is_cpu() ? 0 : peak_reserved_bytes(device) >> 20},
          {"device", device.str()},
          {"threads", at::get_num_threads()},
          {"cpu_seconds", rounded(times.cpu_seconds, 2)},
          {"useful_gflops", rounded(useful, 1)},
          {"linear_gflops", rounded(linear, 1)},
          {"useful_ratio", rounded(useful / linear, 3)},
          {"memory", write_fields(memory)}};
}

cxxopts::Options command_line() {
  cxxopts::Options options(
      "bench step",
      "Training steps of LoRA on one long text, and the figures that the Python peers' "
      "train_step.py prints for the same work. key.path=value behind the options changes the "
      "recipe that they make, as for longspan train.\n");
  const auto text = [](const char* value) {
    return cxxopts::value<std::string>()->default_value(value);
  };
  const auto count = [](const char* value) {
    return cxxopts::value<int64_t>()->default_value(value);
  };
  options.add_options()("model", "Hugging Face model folder", cxxopts::value<std::string>(), "DIR")(
      "text", "a long text: .txt .md .tex, each also .gz .zst", cxxopts::value<std::string>(),
      "FILE")("length", "tokens", count("8192"), "N")("attention", "full, s2", text("s2"), "NAME")(
      "group-size", "tokens of a group of s2 (default: a quarter of the length)",
      cxxopts::value<int64_t>(), "N")("dtype", "bfloat16, float32", text("bfloat16"), "DTYPE")(
      "steps", "", count("2"), "N")("rank", "of LoRA", count("8"), "R")(
      "trainable", "train the parameters with one of these in their name", text("embed,norm"),
      "LIST")("threads", "0: one a core", count("0"), "N")(
      "device", "cpu, cuda, or auto: cuda where it can be used", text("cpu"), "DEVICE")(
      "random-weights", "draw them on the device: DIR needs config.json and tokenizer.json alone")(
      "profile", "show where the time of the main thread goes, on stderr")(
      "trace", "what runs when in the last step, for chrome://tracing or Perfetto",
      cxxopts::value<std::string>(), "FILE.json")(
      "json", "print one JSON map instead of a table")(
      "overrides", "", cxxopts::value<std::vector<std::string>>(), "KEY=VALUE...");
  options.parse_positional({"overrides"});
  options.positional_help("[key.path=value ...]");
  return options;
}

Json measure(const cxxopts::ParseResult& parsed) {
  const Stopwatch stopwatch;
  const at::Device device = open_device(parsed["device"].as<std::string>());
  if (parsed.count("profile") && !device.is_cpu()) {
    fail(ExitCode::kUsage, "--profile: counts the CPU's time; expected --trace for a GPU");
  }
  const AtomicFolder scratch(fs::temp_directory_path() / "longspan-bench-step");  // never committed
  const Base base = open_base(parsed);
  const ModelConfig& config = base.config;
  Recipe recipe = make_recipe(parsed, config, scratch.path());
  std::string& offload_dir = recipe.train.memory.offload_dir;
  if (offload_dir.empty()) offload_dir = scratch.path().string();
  write_tokens(recipe.data.path, parsed["text"].as<std::string>(), base.tokenizer_json,
               parsed["model"].as<std::string>(), recipe.stages.front().seq_len);
  LoaderOptions loading;
  loading.packer.seq_len = recipe.stages.front().seq_len;
  loading.shuffle = recipe.data.shuffle;
  auto loader =
      std::make_shared<const Loader>(std::make_shared<const TokenStore>(recipe.data.path), loading);

  use_page_allocator();
  keep_freed_scratch();
  set_seed_and_threads(recipe.train);
  const auto [model, residency] =
      base.source ? open_recipe_model(recipe, *base.source, device)
                  : RecipeModel{draw_recipe_model(recipe, config, device), nullptr};
  Trainer trainer(*model, recipe.stages, {loader}, recipe.train, residency);
  StepTimes::Times times;
  trainer.add(std::make_unique<StepTimes>(times));
  if (parsed.count("trace")) {
    trainer.add(std::make_unique<TraceOfLastStep>(device, parsed["trace"].as<std::string>()));
  }
  const double until_first_step = stopwatch.seconds();
  std::optional<OperatorProfile> profile;
  if (parsed.count("profile")) profile.emplace();
  trainer.run();
  if (profile) fmt::print(stderr, "{}", text_table(profile->table()));
  profile.reset();
  Json result = result_of(parsed, recipe, trainer, *model, times);
  result["start_seconds"] = rounded(until_first_step, 2);
  return result;
}

}  // namespace

int step_bench(int argc, char** argv) {
  cxxopts::Options options = command_line();
  auto parsed = parse_bench_options(options, argc, argv, kStepBenchExample);
  if (!parsed) return 0;
  if (!parsed->count("model") || !parsed->count("text")) {
    fail(ExitCode::kUsage, "bench step: expected --model and --text; see bench step -h");
  }
  const auto attention = (*parsed)["attention"].as<std::string>();
  if (attention != "full" && attention != "s2") {
    fail(ExitCode::kUsage, "--attention: '{}' is not known; expected full or s2", attention);
  }
  if ((*parsed)["steps"].as<int64_t>() < 1) fail(ExitCode::kUsage, "--steps: expected 1 or more");
  const Json result = measure(*parsed);
  Table table{"Training steps", {"", ""}};
  for (const auto& [key, value] : result.items()) {
    table.rows.push_back({key, value.is_string() ? value.get<std::string>() : value.dump()});
  }
  fmt::print("{}", parsed->count("json") ? result.dump() + "\n" : text_table(table));
  return 0;
}

}  // namespace longspan
