// A model folder of random weights in the shape of any config.json, and an adapter for it, written
// tensor by tensor: what merge and convert are measured with where no real model of that size fits.

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/empty.h>

#include <cxxopts.hpp>
#include <map>

#include "checkpoints/adapters/peft_adapter.h"
#include "checkpoints/dtype.h"
#include "checkpoints/hf/hf_config.h"
#include "checkpoints/hf/hf_exporter.h"
#include "src/core/log.h"
#include "src/core/process_memory.h"
#include "src/core/text.h"
#include "tools/bench/bench.h"

namespace longspan {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view kRandomModelExample =
    "  bench random-model llama-2-7b/config.json 7b-2 --layers 2";

/// Normal weights, around 1 for norms; each tensor is a function of the seed and its place alone.
class RandomSource : public ModelSource {
 public:
  RandomSource(const ModelConfig& config, at::ScalarType dtype, uint64_t seed)
      : config_(config), dtype_(dtype), seed_(seed) {
    auto model = make_causal_lm(config);  // on the meta device
    auto element = static_cast<int64_t>(c10::elementSize(dtype));
    model->visit_parameters("", [&](const std::string& name, at::Tensor& parameter) {
      index_of_[name] = tensors_.size();
      tensors_.push_back({name, std::string(safetensors_dtype(dtype)), parameter.sizes().vec(),
                          parameter.numel() * element});
    });
  }

  fs::path path() const override { return "random"; }
  std::string format() const override { return "random"; }
  Json config_json() const override { return write_hf_config(config_, dtype_); }
  Json tokenizer_json() const override { return nullptr; }
  std::vector<std::pair<std::string, std::string>> side_files() const override { return {}; }
  std::vector<TensorInfo> tensors() const override { return tensors_; }

  at::Tensor tensor(const std::string& name) const override {
    size_t index = index_of_.at(name);
    auto generator = at::make_generator<at::CPUGeneratorImpl>(seed_ * 1'000'003 + index);
    at::Tensor values = at::empty(tensors_[index].shape, at::kFloat);
    double mean = name.ends_with("norm.weight") ? 1.0 : 0.0;
    return values.normal_(mean, 0.02, generator).to(dtype_);
  }

 private:
  const ModelConfig& config_;
  at::ScalarType dtype_;
  uint64_t seed_;
  std::vector<TensorInfo> tensors_;
  std::map<std::string, size_t> index_of_;
};

/// LoRA on the projections of attention, and norms and embeddings saved, as LongLoRA trains them.
void write_random_adapter(const RandomSource& source, const fs::path& folder, int64_t r) {
  PeftAdapter adapter;
  adapter.lora.r = r;
  adapter.lora.lora_alpha = 2.0 * static_cast<double>(r);
  adapter.config_json = source.config_json();
  for (const auto& info : source.tensors()) {
    std::string module = info.name.substr(0, info.name.rfind('.'));
    if (adapter.lora.saves(module)) {
      adapter.tensors[info.name] = source.tensor(info.name).mul(1.01);
    } else if (adapter.lora.targets(module)) {
      adapter.tensors[module + ".lora_A.weight"] =
          at::empty({r, info.shape[1]}, at::kFloat).normal_(0, 0.02);
      adapter.tensors[module + ".lora_B.weight"] =
          at::empty({info.shape[0], r}, at::kFloat).normal_(0, 0.02);
    }
  }
  fs::create_directories(folder);
  write_peft_adapter(folder, adapter);
  log_info("{}: r {}, {} tensors", folder.string(), r, adapter.tensors.size());
}

}  // namespace

int random_model_bench(int argc, char** argv) {
  cxxopts::Options options("bench random-model", "A model folder of random weights.\n");
  const auto text = [](const char* value) {
    return cxxopts::value<std::string>()->default_value(value);
  };
  options.add_options(
      "", {{"config", "config.json to take the shape from", cxxopts::value<std::string>()},
           {"output", "folder to write", cxxopts::value<std::string>()},
           {"layers", "instead of num_hidden_layers", cxxopts::value<int64_t>(), "N"},
           {"dtype", "", text("bfloat16"), "DTYPE"},
           {"shard-size", "", text("5GB"), "SIZE"},
           {"seed", "", cxxopts::value<uint64_t>()->default_value("0"), "S"},
           {"adapter", "write an adapter of it to this folder too", cxxopts::value<std::string>(),
            "DIR"},
           {"r", "its rank", cxxopts::value<int64_t>()->default_value("8"), "R"},
           {"force", "replace the folder"}});
  options.parse_positional({"config", "output"});
  options.positional_help("CONFIG.json OUT");
  auto given = parse_bench_options(options, argc, argv, kRandomModelExample);
  if (!given) return 0;
  const cxxopts::ParseResult& parsed = *given;
  for (const char* name : {"config", "output"}) {
    if (parsed.count(name)) continue;
    fail(ExitCode::kUsage, "bench random-model: {} is missing; see bench random-model -h", name);
  }
  std::string path = parsed["config"].as<std::string>();
  Json json = read_json_file(path, ExitCode::kModel);
  if (parsed.count("layers")) json["num_hidden_layers"] = parsed["layers"].as<int64_t>();
  ModelConfig config = read_hf_config(json, path);
  fs::path out = parsed["output"].as<std::string>();
  require_replaceable(out, parsed.count("force") > 0);
  ExportOptions write;
  write.dtype = parse_torch_dtype(parsed["dtype"].as<std::string>(), "--dtype");
  write.shard_bytes = parse_bytes(parsed["shard-size"].as<std::string>(), "--shard-size");
  write.made_from["seed"] = parsed["seed"].as<uint64_t>();
  RandomSource source(config, write.dtype, parsed["seed"].as<uint64_t>());
  export_hf(source, config, out, write);
  if (parsed.count("adapter")) {
    write_random_adapter(source, parsed["adapter"].as<std::string>(), parsed["r"].as<int64_t>());
  }
  log_info("peak memory {}", human_bytes(peak_memory_bytes()));
  return 0;
}

}  // namespace longspan
