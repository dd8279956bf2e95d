#include "tools/support/model_comparison.h"

#include <ATen/ops/equal.h>

#include <algorithm>

#include "checkpoints/adapters/adapted_model.h"
#include "checkpoints/dtype.h"
#include "checkpoints/hf/hf_importer.h"
#include "src/core/log.h"
#include "src/core/stopwatch.h"
#include "src/core/text.h"
#include "src/model/context_length.h"

namespace longspan {

namespace {

/// A float32 file made from bfloat16 weights holds bfloat16 weights.
bool holds_bfloat16(const ModelSource& source, const std::vector<TensorInfo>& infos) {
  return std::all_of(infos.begin(), infos.end(), [&](const TensorInfo& info) {
    at::Tensor tensor = source.tensor(info.name);
    return at::equal(tensor, tensor.to(at::kBFloat16).to(tensor.scalar_type()));
  });
}

StoredPrecision stored_precision(const ComparedModel& model) {
  if (model.adapter) return {};  // W + scale B A is exact in no stored dtype
  auto source = open_model_source(model.model);
  const auto infos = source->tensors();
  std::map<std::string, int64_t> bytes;
  for (const auto& info : infos) {
    if (info.shape.size() > 1) bytes[info.dtype] += info.bytes;
  }
  auto most = std::max_element(bytes.begin(), bytes.end(),
                               [](const auto& a, const auto& b) { return a.second < b.second; });
  StoredPrecision stored;
  if (most != bytes.end() && !from_safetensors_dtype(most->first)) {
    stored.quantized = most->first;
    for (const auto& info : infos) stored.tensors[info.name] = info.dtype;
    return stored;
  }
  const bool bfloat16 = holds_bfloat16(*source, infos);
  stored.dtype = bfloat16 ? at::kBFloat16 : main_dtype(*source);
  for (const auto& info : infos) stored.tensors[info.name] = bfloat16 ? "BF16" : info.dtype;
  return stored;
}

/// 0 of blocks, which hold less than any dtype.
int mantissa_bits(const std::string& type) {
  if (!from_safetensors_dtype(type)) return 0;
  return type == "BF16" ? 8 : type == "F16" ? 11 : 24;
}

/// Those of `types` that are coarser than what `than` says of the same tensor, or other blocks.
TensorTypes coarser(const TensorTypes& types, const TensorTypes& than) {
  TensorTypes found;
  for (const auto& [name, type] : types) {
    const auto other = than.find(name);
    const std::string before = other == than.end() ? "F32" : other->second;
    const int bits = mantissa_bits(type);
    const bool is_coarser = bits < mantissa_bits(before) || (bits == 0 && type != before);
    if (is_coarser && can_round_to(type)) found[name] = type;
  }
  return found;
}

/// What differs by the order of sums alone.
double tolerance_of_sums(at::ScalarType compute) { return compute == at::kFloat ? 1e-3 : 2e-2; }

/// Of the logits' norm Q8_0 changes 0.012, Q4_K_M 0.1 and Q4_0 0.2 (SmolLM2-135M).
double usual_tolerance_of_blocks(const std::string& type) {
  return type.starts_with("Q8") ? 0.05 : 0.5;
}

std::unique_ptr<CausalLm> load(const ComparedModel& model, at::ScalarType dtype) {
  auto source = open_model_source(model.model);
  if (!model.adapter) return import_model(*source, {.dtype = dtype});
  return import_adapted_model(*source, *model.adapter, {.dtype = dtype});
}

/// [last, V] of each length.
std::vector<at::Tensor> logits_of(CausalLm& model, const ComparisonOptions& options,
                                  const std::string& label) {
  std::vector<at::Tensor> logits;
  for (int64_t length : options.lengths) {
    const Stopwatch stopwatch;
    std::vector<int64_t> ids = options.text_ids;
    if (ids.empty()) ids = made_ids(length, model.config().vocab_size);
    ids.resize(static_cast<size_t>(length));
    logits.push_back(last_logits(model, ids, options.last));
    log_info("{}: {} tokens in {}", label, human_count(length),
             human_duration(stopwatch.seconds()));
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

}  // namespace

std::string ComparedModel::label() const {
  return adapter ? fmt::format("{} + {}", model.string(), adapter_folder.string()) : model.string();
}

std::string StoredPrecision::name() const {
  return quantized.empty() ? std::string(torch_dtype(dtype)) : quantized;
}

ReferenceModel::ReferenceModel(const ComparedModel& model, const ComparisonOptions& options)
    : model_(model), options_(options), stored_(stored_precision(model)) {
  auto loaded = load(model, options.dtype);
  vocab_size_ = loaded->config().vocab_size;
  usable_length_ = context_length(loaded->config()).usable;
  exact_ = logits_of(*loaded, options, model.label());
}

/// As a file of `types` holds it.
const std::vector<at::Tensor>& ReferenceModel::rounded(const TensorTypes& types) {
  const TensorTypes needed = coarser(types, stored_.tensors);
  if (needed.empty()) return exact_;
  auto [found, missing] = rounded_.try_emplace(needed);
  if (missing) {
    auto model = load(model_, options_.dtype);
    round_weights(*model, needed);
    found->second = logits_of(*model, options_, "the same, rounded as the file is");
  }
  return found->second;
}

/// Of a quantised model twice what its blocks change in the reference: other scales, or weights
/// that were rounded to bfloat16 before, change about as much. Where our blocks do not tell, since
/// we do not write such or the reference has some of its own, at least what is usual.
double ReferenceModel::tolerance_of(const StoredPrecision& stored) {
  constexpr double kUnlike = 1;  // as far as from no logits at all; a reader that goes wrong
  if (options_.tolerance > 0) return options_.tolerance;
  double least = tolerance_of_sums(options_.dtype);
  if (stored.quantized.empty()) return least;
  const bool tells = stored_.quantized.empty() &&
                     std::all_of(stored.tensors.begin(), stored.tensors.end(),
                                 [](const auto& tensor) { return can_round_to(tensor.second); });
  if (!tells) least = usual_tolerance_of_blocks(stored.quantized);
  double change = 0;
  const auto& in_blocks = rounded(stored.tensors);
  for (size_t i = 0; i < exact_.size(); ++i) {
    change = std::max(change, compare_logits(exact_[i], in_blocks[i]).relative);
  }
  return std::clamp(2 * change, least, kUnlike);
}

Json ReferenceModel::compare(const ComparedModel& other) {
  StoredPrecision stored = stored_precision(other);
  auto model = load(other, options_.dtype);
  Json result = {{"model", other.label()},
                 {"stored_as", stored.name()},
                 {"quantized", !stored.quantized.empty()},
                 {"equal", true}};
  if (model->config().vocab_size != vocab_size_) {
    result["equal"] = false;
    result["problem"] = fmt::format("vocabulary of {}, the reference has {}",
                                    model->config().vocab_size, vocab_size_);
    return result;
  }
  if (int64_t usable = context_length(model->config()).usable; usable != usable_length_) {
    result["equal"] = false;
    result["problem"] = fmt::format(
        "context of {} tokens, the reference has {} (max_position_embeddings and the keys of RoPE)",
        usable, usable_length_);
  }
  if (stored.quantized.empty()) {
    const TensorTypes needed = coarser(stored_.tensors, stored.tensors);
    if (!needed.empty()) round_weights(*model, needed);
  }
  auto logits = logits_of(*model, options_, other.label());
  const double tolerance = tolerance_of(stored);
  result["tolerance"] = tolerance;
  const auto& expected = rounded(stored.tensors);
  for (size_t i = 0; i < options_.lengths.size(); ++i) {
    const LogitDifference equally_rounded = compare_logits(expected[i], logits[i]);
    const LogitDifference as_stored = compare_logits(exact_[i], logits[i]);
    const bool near = equally_rounded.relative <= tolerance ||
                      (!stored.quantized.empty() && as_stored.relative <= tolerance);
    if (!near) result["equal"] = false;
    result["rows"].push_back({{"length", options_.lengths[i]},
                              {"equally_rounded", as_json(equally_rounded)},
                              {"as_stored", as_json(as_stored)}});
  }
  return result;
}

}  // namespace longspan
