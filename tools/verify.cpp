#include <ATen/Parallel.h>
#include <ATen/ops/equal.h>

#include <chrono>

#include "checkpoints/checkpoint_store.h"
#include "checkpoints/dtype.h"
#include "checkpoints/peft_adapter.h"
#include "src/core/log.h"
#include "src/core/text.h"
#include "tools/open_model.h"
#include "tools/text_model.h"
#include "trainer/eval/logit_comparison.h"
#include "trainer/eval/table.h"

namespace longspan {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view kExample =
    "  longspan verify runs/quickstart\n"
    "  longspan verify runs/quickstart/checkpoints/step-000006 merged model-q8_0.gguf --lengths "
    "256,8K";
constexpr int64_t kShortLength = 256, kLongestByDefault = 32768;

/// A model to compare: a folder or file, or an adapter and the base it belongs to.
struct Subject {
  fs::path model;
  std::optional<fs::path> adapter;

  std::string label() const {
    return adapter ? fmt::format("{} + {}", model.string(), adapter->string()) : model.string();
  }
};

bool is_adapter(const fs::path& path) { return fs::exists(path / "adapter_config.json"); }
bool is_model(const fs::path& path) {
  return path.extension() == ".gguf" || (fs::exists(path / "config.json") && !is_adapter(path));
}

/// The base that --base names, or the adapter itself.
fs::path base_of(const fs::path& adapter, const std::string& given) {
  if (!given.empty()) return given;
  std::string named = read_peft_adapter(adapter).base_model_name_or_path;
  if (named.empty()) {
    fail(ExitCode::kUsage, "{}: names no base model; give it with --base", adapter.string());
  }
  return named;
}

/// A run stands for its newest checkpoint on its base, and for all that was exported into it.
std::vector<Subject> subjects_of(const fs::path& path, const std::string& base) {
  if (is_adapter(path)) return {{base_of(path, base), path}};
  auto checkpoint = CheckpointStore(path / "checkpoints").newest();
  if (!checkpoint) return {{path, std::nullopt}};
  std::vector<Subject> subjects{{base_of(*checkpoint, base), *checkpoint}};
  std::vector<fs::path> exported;
  for (const auto& entry : fs::directory_iterator(path)) {
    bool unfinished = entry.path().extension() == ".partial";
    if (!unfinished && is_model(entry.path())) exported.push_back(entry.path());
  }
  std::sort(exported.begin(), exported.end());
  for (const auto& model : exported) subjects.push_back({model, std::nullopt});
  return subjects;
}

/// The run that a lone exported model lies in: what it is to be compared with.
std::vector<Subject> with_its_run(const Subject& subject, const std::string& base) {
  fs::path run = fs::absolute(subject.model).lexically_normal();
  if (!run.has_filename()) run = run.parent_path();
  auto checkpoint = CheckpointStore(run.parent_path() / "checkpoints").newest();
  if (subject.adapter || !checkpoint) return {subject};
  return {{base_of(*checkpoint, base), *checkpoint}, subject};
}

/// How far a model's weights are rounded: to a dtype, or in blocks as only their writer knows.
struct Storage {
  at::ScalarType dtype = at::kFloat;
  std::string quantized;  // GGUF's name of most of the weights; "" for a dtype

  std::string name() const {
    return quantized.empty() ? std::string(torch_dtype(dtype)) : quantized;
  }
};

/// A float32 file made from bfloat16 weights holds bfloat16 weights.
bool holds_bfloat16(const ModelSource& source) {
  auto infos = source.tensors();
  return std::all_of(infos.begin(), infos.end(), [&](const TensorInfo& info) {
    at::Tensor tensor = source.tensor(info.name);
    return at::equal(tensor, tensor.to(at::kBFloat16).to(tensor.scalar_type()));
  });
}

Storage storage_of(const Subject& subject) {
  if (subject.adapter) return {};  // W + scale B A is exact in no stored dtype
  auto source = open_model_source(subject.model);
  std::map<std::string, int64_t> bytes;
  for (const auto& info : source->tensors()) {
    if (info.shape.size() > 1) bytes[info.dtype] += info.bytes;
  }
  auto most = std::max_element(bytes.begin(), bytes.end(),
                               [](const auto& a, const auto& b) { return a.second < b.second; });
  if (most != bytes.end() && !from_safetensors_dtype(most->first)) return {at::kFloat, most->first};
  at::ScalarType dtype = main_dtype(*source);
  return {holds_bfloat16(*source) ? at::kBFloat16 : dtype, ""};
}

int mantissa_bits(at::ScalarType dtype) {
  return dtype == at::kBFloat16 ? 8 : dtype == at::kHalf ? 11 : 24;
}

/// Float dtypes are compared after equal rounding, and differ by the order of sums alone. Of the
/// logits' norm Q8_0 changes 0.012, Q4_K_M 0.1 and Q4_0 0.2 (SmolLM2-135M); a reader that goes
/// wrong, 1 and more.
double default_tolerance(const Storage& storage, at::ScalarType compute) {
  if (storage.quantized.empty()) return compute == at::kFloat ? 1e-3 : 2e-2;
  if (storage.quantized.starts_with("Q8")) return 0.05;
  return 0.5;
}

struct Options {
  std::vector<int64_t> lengths;
  int64_t last = 64;
  at::ScalarType dtype = at::kFloat;
  double tolerance = 0;  // 0: default_tolerance
  std::vector<int64_t> text_ids;
};

std::unique_ptr<CausalLm> load(const Subject& subject, at::ScalarType dtype) {
  auto source = open_model_source(subject.model);
  if (!subject.adapter) return import_model(*source, {.dtype = dtype});
  return import_adapted_model(*source, read_peft_adapter(*subject.adapter), {.dtype = dtype});
}

/// [last, V] of each length.
std::vector<at::Tensor> logits_of(CausalLm& model, const Options& options,
                                  const std::string& label) {
  std::vector<at::Tensor> logits;
  for (int64_t length : options.lengths) {
    auto begin = std::chrono::steady_clock::now();
    std::vector<int64_t> ids = options.text_ids;
    if (ids.empty()) ids = made_ids(length, model.config().vocab_size);
    ids.resize(static_cast<size_t>(length));
    logits.push_back(last_logits(model, ids, options.last));
    std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
    log_info(fmt::format("{}: {} tokens in {}", label, human_count(length),
                         human_duration(seconds.count())));
  }
  return logits;
}

Json as_json(const LogitDifference& d) {
  return {{"max_abs", d.max_abs},
          {"relative", d.relative},
          {"argmax_agreement", d.argmax_agreement},
          {"kl", d.kl},
          {"largest_kl", d.largest_kl}};
}

/// The reference's logits, as it is and rounded as each of the others is stored.
class Reference {
 public:
  Reference(const Subject& subject, const Options& options)
      : subject_(subject), options_(options), storage_(storage_of(subject)) {
    auto model = load(subject, options.dtype);
    config_ = model->config();
    exact_ = logits_of(*model, options, subject.label());
  }

  const ModelConfig& config() const { return config_; }
  const std::vector<at::Tensor>& exact() const { return exact_; }
  /// Rounded to `dtype` where that is the coarser one, else as it is.
  const std::vector<at::Tensor>& rounded(at::ScalarType dtype) {
    if (mantissa_bits(dtype) >= mantissa_bits(storage_.dtype)) return exact_;
    auto [found, missing] = rounded_.try_emplace(dtype);
    if (missing) {
      auto model = load(subject_, options_.dtype);
      round_weights(*model, dtype);
      found->second =
          logits_of(*model, options_, fmt::format("the same in {}", torch_dtype(dtype)));
    }
    return found->second;
  }
  at::ScalarType dtype() const { return storage_.dtype; }

 private:
  const Subject& subject_;
  const Options& options_;
  Storage storage_;
  ModelConfig config_;
  std::vector<at::Tensor> exact_;
  std::map<at::ScalarType, std::vector<at::Tensor>> rounded_;
};

/// {"model", "stored_as", "quantized", "tolerance", "equal", "rows"}
Json compare(Reference& reference, const Subject& subject, const Options& options) {
  Storage storage = storage_of(subject);
  double tolerance =
      options.tolerance > 0 ? options.tolerance : default_tolerance(storage, options.dtype);
  auto model = load(subject, options.dtype);
  Json result = {{"model", subject.label()},
                 {"stored_as", storage.name()},
                 {"quantized", !storage.quantized.empty()},
                 {"tolerance", tolerance},
                 {"equal", true}};
  if (model->config().vocab_size != reference.config().vocab_size) {
    result["equal"] = false;
    result["problem"] = fmt::format("vocabulary of {}, the reference has {}",
                                    model->config().vocab_size, reference.config().vocab_size);
    return result;
  }
  bool coarser = mantissa_bits(reference.dtype()) < mantissa_bits(storage.dtype);
  if (coarser && storage.quantized.empty()) round_weights(*model, reference.dtype());
  auto logits = logits_of(*model, options, subject.label());
  const auto& expected = reference.rounded(storage.dtype);
  for (size_t i = 0; i < options.lengths.size(); ++i) {
    LogitDifference difference = compare_logits(expected[i], logits[i]);
    if (!(difference.relative <= tolerance)) result["equal"] = false;
    result["rows"].push_back(
        {{"length", options.lengths[i]},
         {"equally_rounded", as_json(difference)},
         {"as_stored", as_json(compare_logits(reference.exact()[i], logits[i]))}});
  }
  return result;
}

/// Its own length, and a short one.
std::vector<int64_t> default_lengths(const Subject& reference) {
  auto source = open_model_source(reference.model);
  ModelConfig config = reference.adapter
                           ? adapted_config(*source, read_peft_adapter(*reference.adapter))
                           : read_hf_config(source->config_json(), reference.model.string());
  int64_t target = config.max_position_embeddings;
  if (target > kLongestByDefault) {
    log_warning(
        fmt::format("the target length is {} tokens; compared at {} (--lengths {},{} takes "
                    "the time of {} times as many pairs)",
                    human_count(target), human_count(kLongestByDefault), kShortLength, target,
                    (target / kLongestByDefault) * (target / kLongestByDefault)));
    target = kLongestByDefault;
  }
  if (target <= kShortLength) return {target};
  return {kShortLength, target};
}

void read_text(const std::string& path, const Subject& reference, Options& options) {
  auto text_model = open_text_model(reference.model);
  for (int32_t id : text_model.tokenizer->encode(read_file(path, ExitCode::kData))) {
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
    if (model.contains("problem")) {
      fmt::print("{}\n", model["problem"].get<std::string>());
      continue;
    }
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

std::vector<Subject> read_subjects(const cxxopts::ParseResult& parsed) {
  std::string base = parsed.count("base") ? parsed["base"].as<std::string>() : "";
  std::vector<Subject> subjects;
  for (const auto& argument : parsed.arguments()) {
    if (argument.key() != "paths") continue;
    auto more = subjects_of(argument.value(), base);
    subjects.insert(subjects.end(), more.begin(), more.end());
  }
  if (subjects.size() == 1) subjects = with_its_run(subjects.front(), base);
  if (subjects.size() < 2) {
    fail(ExitCode::kUsage,
         "longspan verify: expected a run folder with an exported model, or two or more models; "
         "found {}; see longspan verify -h",
         subjects.empty() ? "none" : subjects.front().label());
  }
  return subjects;
}

}  // namespace

int verify_command(int argc, char** argv) {
  cxxopts::Options options(
      "longspan verify",
      "Reload what was exported and compare its logits with the first: base + newest checkpoint of "
      "a run folder,\nor the first of several models (folder, GGUF, adapter). A model stored in "
      "bfloat16 is compared with the\nreference rounded to bfloat16 on another way, so that what "
      "remains is error, not rounding.\nExit code: 0 equal, 5 one is different.\n");
  options.add_options()("paths", "run folder, or models",
                        cxxopts::value<std::vector<std::string>>())(
      "base", "base of the adapters (default: what they name)", cxxopts::value<std::string>(),
      "MODEL")("lengths", "tokens read (default: 256 and the model's context, up to 32K)",
               cxxopts::value<std::string>(), "N,N")(
      "last", "how many last tokens are compared", cxxopts::value<int64_t>()->default_value("64"),
      "N")("text", "read this text (default: made ids)", cxxopts::value<std::string>(), "FILE")(
      "dtype", "to compute in: float32 or bfloat16",
      cxxopts::value<std::string>()->default_value("float32"),
      "DTYPE")("tolerance", "largest |difference| / |logits|", cxxopts::value<double>(), "X")(
      "threads", "processor threads (default: all)", cxxopts::value<int>(), "N")(
      "json", "print JSON")("h,help", "this help");
  options.parse_positional({"paths"});
  options.positional_help("RUN | MODEL MODEL...");
  auto parsed = parse_command_line(options, argc, argv, kExample);
  if (!parsed) return 0;
  if (parsed->count("threads")) at::set_num_threads(std::max(1, (*parsed)["threads"].as<int>()));

  std::vector<Subject> subjects = read_subjects(*parsed);
  const Subject& first = subjects.front();
  Options how;
  how.dtype = parse_dtype((*parsed)["dtype"].as<std::string>());
  how.last = std::max<int64_t>(1, (*parsed)["last"].as<int64_t>());
  if (parsed->count("tolerance")) how.tolerance = (*parsed)["tolerance"].as<double>();
  how.lengths = parsed->count("lengths")
                    ? parse_lengths((*parsed)["lengths"].as<std::string>(), "--lengths")
                    : default_lengths(first);
  if (parsed->count("text")) read_text((*parsed)["text"].as<std::string>(), first, how);

  Reference reference(first, how);
  Json report = {{"reference", first.label()}, {"lengths", how.lengths}, {"last", how.last}};
  bool equal = true;
  for (size_t i = 1; i < subjects.size(); ++i) {
    Json result = compare(reference, subjects[i], how);
    equal = equal && result["equal"].get<bool>();
    report["models"].push_back(std::move(result));
  }
  report["equal"] = equal;
  if (parsed->count("json")) {
    fmt::print("{}\n", report.dump(2));
  } else {
    print_text(report);
  }
  return static_cast<int>(equal ? ExitCode::kOk : ExitCode::kModel);
}

}  // namespace longspan
