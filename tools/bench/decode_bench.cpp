// A prompt read and tokens decoded behind it, with random weights, beside what the machine reaches:
// its products for the one, its memory for the other.

#include <ATen/Parallel.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <vector>

#include "checkpoints/hf/hf_config.h"
#include "src/core/json.h"
#include "src/core/stopwatch.h"
#include "src/model/generate.h"
#include "src/nn/device.h"
#include "src/nn/page_allocator.h"
#include "tools/bench/bench.h"
#include "tools/bench/random_weights.h"
#include "tools/bench/timing.h"
#include "trainer/eval/arms/arm_flops.h"
#include "trainer/figures/table.h"

namespace longspan {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view kDecodeBenchExample =
    "  bench decode --model llama-2-7b --device cuda --prompt 1024 --tokens 64 --json";
constexpr int64_t kCopiedBytes = int64_t{1} << 29;  // more than a cache holds

/// Read and written by a copy from memory to memory.
double copy_gb_per_second(at::Device device) {
  const at::Tensor from = at::zeros({kCopiedBytes}, at::TensorOptions(device).dtype(at::kByte));
  at::Tensor to = at::zeros_like(from);
  const double seconds = best_seconds([&] {
    to.copy_(from);
    synchronize(device);
  });
  return 2e-9 * static_cast<double>(kCopiedBytes) / seconds;
}

/// What decoding one token reads behind so many others: each weight once, but for a table of
/// embeddings that is not the head too, and all keys and values.
double bytes_of_token(CausalLm& model, int64_t length) {
  const ModelConfig& config = model.config();
  auto bytes = static_cast<double>(key_value_bytes(config, model.attention(), length, /*bits=*/16));
  model.visit_parameters("", [&](const std::string&, at::Tensor& parameter) {
    bytes += static_cast<double>(parameter.nbytes());
  });
  if (config.tie_word_embeddings) return bytes;
  return bytes - static_cast<double>(model.lm_head_weight().nbytes());
}

struct DecodeSeconds {
  double prefill = 1e30, token = 1e30;
};

/// The better of two, the first of which loads libraries.
DecodeSeconds measure_decoding(CausalLm& model, int64_t prompt_tokens, int64_t new_tokens) {
  const GenerateOptions options{.max_new_tokens = new_tokens,
                                .never = model.config().eos_token_ids};
  std::vector<int64_t> prompt;
  for (int64_t i = 0; i < prompt_tokens; ++i) prompt.push_back(i % model.config().vocab_size);
  DecodeSeconds best;
  for (int round = 0; round < 2; ++round) {
    Stopwatch stopwatch;
    double prefill = 0;
    generate(model, prompt, options, [&](int64_t) {
      if (prefill == 0) prefill = stopwatch.restart();
      return true;
    });
    best.prefill = std::min(best.prefill, prefill);
    best.token = std::min(best.token, stopwatch.seconds() / static_cast<double>(new_tokens - 1));
  }
  return best;
}

double to_places(double value, int places) {
  const double unit = std::pow(10, places);
  return std::round(value * unit) / unit;
}

Json decoding_result(const cxxopts::ParseResult& parsed) {
  const at::Device device = open_device(parsed["device"].as<std::string>());
  set_bench_threads(parsed["threads"].as<int64_t>());
  use_page_allocator();
  const auto prompt = parsed["prompt"].as<int64_t>(), tokens = parsed["tokens"].as<int64_t>();
  const fs::path file = fs::path(parsed["model"].as<std::string>()) / "config.json";
  auto model =
      make_causal_lm(read_hf_config(read_json_file(file, ExitCode::kModel), file.string()));
  draw_weights(*model, at::kBFloat16, device);
  const DecodeSeconds seconds = measure_decoding(*model, prompt, tokens);
  const double gflops =
      1e-9 * reading_flops(model->config(), model->attention(), prompt) / seconds.prefill;
  const double linear = linear_gflops(device), copied = copy_gb_per_second(device);
  const double read = 1e-9 * bytes_of_token(*model, prompt + tokens / 2) / seconds.token;
  return {
      {"device", device.str()},
      {"threads", at::get_num_threads()},
      {"prompt_tokens", prompt},
      {"new_tokens", tokens},
      {"prefill_seconds", to_places(seconds.prefill, 4)},
      {"prefill_tokens_per_second", to_places(static_cast<double>(prompt) / seconds.prefill, 1)},
      {"linear_gflops", to_places(linear, 1)},
      {"prefill_ratio", to_places(gflops / linear, 3)},
      {"decode_tokens_per_second", to_places(1 / seconds.token, 2)},
      {"decode_gb_per_second", to_places(read, 2)},
      {"copy_gb_per_second", to_places(copied, 2)},
      {"decode_ratio", to_places(read / copied, 3)}};
}

}  // namespace

int decode_bench(int argc, char** argv) {
  cxxopts::Options options(
      "bench decode",
      "Tokens/s of a prompt and of what is decoded behind it, with random weights in bfloat16. "
      "prefill_ratio is over the rate of a linear layer, decode_ratio what a token reads of "
      "weights, keys and values over the rate of a copy.\n");
  const auto count = [](const char* value) {
    return cxxopts::value<int64_t>()->default_value(value);
  };
  options.add_options(
      "", {{"model", "a folder with a config.json", cxxopts::value<std::string>(), "DIR"},
           {"prompt", "tokens", count("1024"), "N"},
           {"tokens", "decoded, from 2", count("64"), "N"},
           {"threads", "0: one a core", count("0"), "N"},
           {"device", "cpu, cuda, or auto: cuda where it can be used",
            cxxopts::value<std::string>()->default_value("cpu"), "DEVICE"},
           {"json", "print one JSON map instead of a table"}});
  auto parsed = parse_bench_options(options, argc, argv, kDecodeBenchExample);
  if (!parsed) return 0;
  if (!parsed->count("model")) {
    fail(ExitCode::kUsage, "bench decode: expected --model; see bench decode -h");
  }
  if ((*parsed)["prompt"].as<int64_t>() < 1 || (*parsed)["tokens"].as<int64_t>() < 2) {
    fail(ExitCode::kUsage, "bench decode: expected a --prompt from 1 and --tokens from 2");
  }
  const Json result = decoding_result(*parsed);
  Table table{"Reading and decoding", {"", ""}};
  for (const auto& [key, value] : result.items()) table.rows.push_back({key, value.dump()});
  fmt::print("{}", parsed->count("json") ? result.dump() + "\n" : text_table(table));
  return 0;
}

}  // namespace longspan
