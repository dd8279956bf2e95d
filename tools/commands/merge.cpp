#include "checkpoints/adapters/merge.h"

#include <ATen/TensorOperators.h>

#include <algorithm>
#include <cmath>

#include "checkpoints/adapters/adapted_model.h"
#include "checkpoints/adapters/merge_verification.h"
#include "checkpoints/dtype.h"
#include "checkpoints/hf/hf_config.h"
#include "checkpoints/hf/hf_exporter.h"
#include "checkpoints/hf/hf_importer.h"
#include "checkpoints/hf/hub_cache.h"
#include "checkpoints/run_state/checkpoint_store.h"
#include "checkpoints/run_state/train_state.h"
#include "src/core/atomic_file.h"
#include "src/core/json.h"
#include "src/core/log.h"
#include "src/core/resumable_folder.h"
#include "src/core/text.h"
#include "src/nn/quantized_weight.h"
#include "tools/commands/commands.h"
#include "tools/support/arguments.h"
#include "tools/support/shared_options.h"
#include "trainer/card/model_card.h"

namespace longspan {

namespace fs = std::filesystem;

namespace {

constexpr Option kMergeArguments[] = {
    {"base", "BASE", "", "model folder, GGUF file or ORG/NAME"},
    {"checkpoint", "CHECKPOINT", "", "adapter folder, or a run folder (its newest checkpoint)"},
    {"output", "OUT", "", "folder to write"},
};
constexpr Option kMergeOptions[] = {
    {"dtype", "DTYPE", "", "of the weights (default: the base's)", "", written_dtypes},
    {"shard-size", "SIZE", "5GB", "largest file of weights"},
    {"force", "", "", "replace the model in OUT"},
    {"no-verify", "", "", "do not read back and compare with base + adapter, value by value"},
};

fs::path adapter_folder(const fs::path& given) {
  fs::path folder = find_model(given);
  if (auto adapter = find_adapter(folder)) return *adapter;
  fail(ExitCode::kModel,
       "{}: is neither an adapter folder (adapter_config.json), nor a checkpoint, nor a run with "
       "checkpoints",
       folder.string());
}

/// "nf4" or "int8" where the checkpoint's run was trained on weights of that kind, else "none".
std::string quantization_of(const fs::path& checkpoint) {
  const fs::path state = checkpoint / kTrainStateFile;
  if (!fs::exists(state)) return "none";
  const Json json = read_json_file(state, ExitCode::kCheckpoint);
  const Json::json_pointer key("/identity/model/quantization");
  return json.contains(key) && json[key].is_string() ? json[key].get<std::string>() : "none";
}

/// No check can find what this costs: the merged weights are what they should be.
void warn_of_quantised_training(const fs::path& checkpoint, const ModelSource& base,
                                const PeftAdapter& adapter) {
  constexpr int kMost = 8;  // projections that are quantised again
  constexpr std::string_view kFactor = ".lora_A.weight";
  const std::string kind = quantization_of(checkpoint);
  const auto quantization = quantization_named(kind);
  if (!quantization || *quantization == Quantization::kNone) return;
  double error = 0, whole = 0;
  int count = 0;
  for (const auto& [name, factor] : adapter.tensors) {
    if (!name.ends_with(kFactor) || count == kMost) continue;
    const std::string module = name.substr(0, name.size() - kFactor.size());
    const at::Tensor weight = base.tensor(module + ".weight").to(at::kFloat);
    const at::Tensor rounded = quantize_weight(weight, *quantization)->dequantize();
    error += (rounded - weight).square().sum(at::kDouble).item<double>();
    whole += weight.square().sum(at::kDouble).item<double>();
    ++count;
  }
  log_warning(
      "{}: was trained on {} weights, which differ from the base's by {:.2g} % of their norm (in "
      "{} projections); the merged model has the base's own, so its logits are not quite those of "
      "the run{}; compare both by longspan eval",
      checkpoint.string(), kind, 100 * std::sqrt(error / std::max(whole, 1e-300)), count,
      adapter.lora.use_dora ? ", and DoRA gives its rows the norms of the quantised ones" : "");
}

/// Reads back what was written; see verify_merge.
void verify(const ModelSource& base, const PeftAdapter& adapter, const fs::path& written) {
  MergeVerification found = verify_merge(base, adapter, *open_model_source(written));
  log_info("verified: {} tensors are base + adapter, {} the checkpoint's own, {} the base's",
           found.adapted, found.saved, found.copied);
  if (found.adapted_values == 0) return;
  double moved = double(found.moved_values) / double(found.adapted_values);
  std::string message = fmt::format("the adapter moved {:.1f}% of {} values by more than rounding",
                                    100 * moved, human_count(found.adapted_values));
  found.moved_values > 0 ? log_info(message) : log_warning(message);
}

int run_merge(const Arguments& arguments) {
  fs::path out = without_trailing_slash(arguments["output"]);
  if (out.empty()) fail(ExitCode::kUsage, "longspan merge: OUT is empty; give a folder");
  require_replaceable(out, arguments.given("force"));
  int64_t shard_bytes = parse_bytes(arguments["shard-size"], "--shard-size");

  auto base = open_model_source(arguments["base"]);
  fs::path folder = adapter_folder(arguments["checkpoint"]);
  require_apart(base->path(), out);
  require_apart(folder, out);
  require_fitting_tensors(*base, read_hf_config(*base));
  PeftAdapter adapter = read_peft_adapter(folder);
  ExportOptions write{.dtype = arguments.given("dtype")
                                   ? parse_torch_dtype(arguments["dtype"], "--dtype")
                                   : main_dtype(*base),
                      .shard_bytes = shard_bytes};
  write.made_from["adapter"] = file_stamps(folder);
  write.before_appearing = [&](const fs::path& written) {
    if (!arguments.given("no-verify")) verify(*base, adapter, written);
    add_model_card(written, {.adapter = folder,
                             .merged = out,
                             .merged_dtype = std::string(torch_dtype(write.dtype)),
                             .base = arguments["base"]});
  };
  export_hf(*merged_source(*base, adapter), adapted_config(*base, adapter), out, write);
  log_info("{} + {} -> {}", base->path().string(), folder.string(), out.string());
  warn_of_quantised_training(folder, *base, adapter);
  return 0;
}

}  // namespace

constinit const Command kMergeCommand{
    .name = "merge",
    .summary = "base model + checkpoint to a merged Hugging Face folder",
    .description =
        "Write base model + checkpoint as a merged Hugging Face folder. A checkpoint of `lora: "
        "none` is all weights: the base gives the tokenizer and the dtype.",
    .example = "  longspan merge models/smollm2 runs/quickstart runs/quickstart/merged",
    .arguments = kMergeArguments,
    .options = {kMergeOptions},
    .run = run_merge,
};

}  // namespace longspan
