#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/linear.h>

#include <algorithm>
#include <optional>

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

/// What rounding every weight once may do to the logits, as |difference| / |logits| in the
/// Euclidean norm; measured with SmolLM2-135M in bfloat16: 0.002 for the base, 0.004 after
/// training.
double tolerance_of(at::ScalarType dtype) {
  return dtype == at::kBFloat16 ? 4e-3 : dtype == at::kHalf ? 1e-3 : 1e-4;
}

double relative_difference(const at::Tensor& actual, const at::Tensor& expected) {
  return (actual - expected).norm().item<double>() / expected.norm().item<double>();
}

struct Expected {
  at::Tensor logits;      // of base + adapter, in float32
  double adapter_effect;  // how far they are from the base's own
};

Expected expected_logits(const ModelSource& base, const PeftAdapter& adapter) {
  ImportOptions options{.dtype = at::kFloat};
  at::Tensor logits = verification_logits(*import_adapted_model(base, adapter, options));
  auto unadapted = import_model(base, adapted_config(base, adapter), options);
  return {logits, relative_difference(verification_logits(*unadapted), logits)};
}

/// A merge that lost the adapter is off by adapter_effect; one that only rounded is far nearer.
void verify(const Expected& expected, const fs::path& merged, at::ScalarType dtype) {
  auto model = import_model(*open_model_source(merged), {.dtype = at::kFloat});
  double relative = relative_difference(verification_logits(*model), expected.logits);
  double allowed = std::max(tolerance_of(dtype), std::min(0.05, expected.adapter_effect / 3));
  std::string measured = fmt::format(
      "{}: logits of {} tokens differ from base + adapter by {:.2g} of their norm (allowed: "
      "{:.2g}; "
      "the adapter itself moves them by {:.2g})",
      merged.string(), kVerifiedTokens, relative, allowed, expected.adapter_effect);
  if (!(relative <= allowed)) {
    fs::remove_all(merged);
    fail(ExitCode::kModel, "{}; the folder was removed, please report this", measured);
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
  std::optional<Expected> expected;
  if (verified) expected = expected_logits(*base, adapter);
  merge_peft_adapter(*base, adapter, out, shard_bytes);
  log_info(fmt::format("{} + {} -> {}", base->path().string(), folder.string(), out.string()));
  if (expected) verify(*expected, out, main_dtype(*base));
  return 0;
}

}  // namespace longspan
