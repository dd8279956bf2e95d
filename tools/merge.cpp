#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/linear.h>

#include "checkpoints/checkpoint_store.h"
#include "checkpoints/dtype.h"
#include "checkpoints/hf_exporter.h"
#include "checkpoints/peft_adapter.h"
#include "src/core/log.h"
#include "tools/command.h"

namespace longspan {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view kExample =
    "  longspan merge models/smollm2 runs/quickstart runs/quickstart/merged";
constexpr int64_t kVerifiedTokens = 256;

/// An adapter folder as it is; of a run folder its newest checkpoint.
fs::path adapter_folder(const fs::path& checkpoint) {
  if (fs::exists(checkpoint / "adapter_config.json")) return checkpoint;
  if (auto newest = CheckpointStore(checkpoint / "checkpoints").newest()) return *newest;
  fail(ExitCode::kModel,
       "{}: is neither an adapter folder (adapter_config.json) nor a run with "
       "checkpoints",
       checkpoint.string());
}

/// [T, V] float32 of fixed ids that visit the vocabulary.
at::Tensor verification_logits(CausalLm& model) {
  at::NoGradGuard no_gradients;
  at::Tensor ids = (at::arange(kVerifiedTokens, at::kLong) * 7919 + 13)
                       .remainder(model.config().vocab_size)
                       .unsqueeze(0);
  at::Tensor hidden = model.hidden_states({ids, {}, {}}).squeeze(0);
  return at::linear(hidden, model.lm_head_weight());
}

/// What rounding every merged weight once may do to the logits, as |difference| / |logits| in the
/// Euclidean norm. Measured with SmolLM2-135M in bfloat16: 0.002; a LoRA that was left out by
/// mistake made 0.005 (B of 0.003) to 0.05. An adapter that changes less than this is not told from
/// none.
double tolerance_of(at::ScalarType dtype) {
  return dtype == at::kBFloat16 ? 4e-3 : dtype == at::kHalf ? 1e-3 : 1e-4;
}

void verify(const at::Tensor& expected, const fs::path& merged, at::ScalarType dtype) {
  auto model = import_model(*open_model_source(merged), {.dtype = at::kFloat});
  at::Tensor difference = verification_logits(*model) - expected;
  double largest = difference.abs().max().item<double>();
  double relative = difference.norm().item<double>() / expected.norm().item<double>();
  std::string measured = fmt::format(
      "{}: logits of {} tokens against base + adapter: largest difference {:.2g}, relative {:.2g} "
      "(allowed for {}: {:.2g})",
      merged.string(), kVerifiedTokens, largest, relative, torch_dtype(dtype), tolerance_of(dtype));
  if (!(relative <= tolerance_of(dtype))) {
    fail(ExitCode::kModel, "{}; do not use the merged model, report this", measured);
  }
  log_info(measured);
}

}  // namespace

int merge_command(int argc, char** argv) {
  cxxopts::Options options("longspan merge",
                           "Write base model + checkpoint as a merged Hugging Face folder.\n");
  options.add_options()("base", "model folder or GGUF file", cxxopts::value<std::string>())(
      "checkpoint", "adapter folder, or a run folder (its newest checkpoint)",
      cxxopts::value<std::string>())("output", "folder to write", cxxopts::value<std::string>())(
      "shard-size", "largest file of weights", cxxopts::value<std::string>()->default_value("5GB"),
      "SIZE")("force", "replace the model in OUT")(
      "no-verify", "do not compare the logits of the merged model with base + adapter")(
      "h,help", "this help");
  options.parse_positional({"base", "checkpoint", "output"});
  options.positional_help("BASE CHECKPOINT OUT");
  auto parsed = parse_command_line(options, argc, argv, kExample);
  if (!parsed) return 0;
  if (!parsed->count("output")) {
    fail(ExitCode::kUsage,
         "longspan merge: expected BASE, CHECKPOINT and OUT; see longspan merge -h");
  }
  fs::path out = (*parsed)["output"].as<std::string>();
  require_replaceable(out, parsed->count("force") > 0);
  int64_t shard_bytes = parse_shard_size((*parsed)["shard-size"].as<std::string>(), "--shard-size");

  auto base = open_model_source((*parsed)["base"].as<std::string>());
  fs::path folder = adapter_folder((*parsed)["checkpoint"].as<std::string>());
  PeftAdapter adapter = read_peft_adapter(folder);
  bool verified = parsed->count("no-verify") == 0;
  at::Tensor expected;
  if (verified) {
    expected = verification_logits(*import_adapted_model(*base, adapter, {.dtype = at::kFloat}));
  }
  merge_peft_adapter(*base, adapter, out, shard_bytes);
  log_info(fmt::format("{} + {} -> {}", base->path().string(), folder.string(), out.string()));
  if (verified) verify(expected, out, main_dtype(*base));
  return 0;
}

}  // namespace longspan
