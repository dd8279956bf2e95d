#include "checkpoints/adapters/adapted_tensor.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>

#include "checkpoints/adapters/trainable_tokens.h"
#include "src/core/error.h"
#include "src/nn/lora_linear.h"

namespace longspan {

namespace {

constexpr std::string_view kWeight = ".weight", kBias = ".bias";
constexpr const char* kA = "lora_A.weight";
constexpr const char* kB = "lora_B.weight";
constexpr const char* kBiasOfB = "lora_B.bias";
constexpr const char* kMagnitude = "lora_magnitude_vector";
constexpr const char* kEmbeddingA = "lora_embedding_A";
constexpr const char* kEmbeddingB = "lora_embedding_B";

/// A tensor of the adapter, or an undefined one.
at::Tensor part_of(const PeftAdapter& adapter, const std::string& module, const char* part) {
  auto found = adapter.tensors.find(fmt::format("{}.{}", module, part));
  return found == adapter.tensors.end() ? at::Tensor() : found->second;
}

/// The scale of one module; A's rows must be the rank that the config gives it.
double scale_of(const PeftAdapter& adapter, const std::string& module, int64_t rank,
                const std::string& place) {
  LoraOptions options = adapter.lora.for_module(module);
  if (rank != options.r) {
    fail(ExitCode::kModel, "{}: '{}' has rank {} in the adapter, its config says {}", place, module,
         rank, options.r);
  }
  return options.scale();
}

at::Tensor with_lora(const PeftAdapter& adapter, const std::string& module,
                     const at::Tensor& weight, const std::string& place) {
  at::Tensor a = part_of(adapter, module, kA), b = part_of(adapter, module, kB);
  at::Tensor magnitude = part_of(adapter, module, kMagnitude);
  if (weight.dim() != 2 || a.dim() != 2 || b.dim() != 2 || a.size(1) != weight.size(1) ||
      b.size(0) != weight.size(0) || a.size(0) != b.size(1) ||
      (magnitude.defined() && (magnitude.dim() != 1 || magnitude.size(0) != weight.size(0)))) {
    fail(ExitCode::kModel, "{}: '{}' is {}, the adapter's A is {} and B {}; is it of another base?",
         place, module, shape_text(weight.sizes()), shape_text(a.sizes()), shape_text(b.sizes()));
  }
  return lora_weight(weight, a, b, magnitude, scale_of(adapter, module, a.size(0), place));
}

/// A [r, vocab_size] and B [hidden_size, r]: W + scale (B A)^T, and with DoRA the norm of each of
/// its columns becomes `magnitude` [hidden_size].
at::Tensor with_embedding_lora(const PeftAdapter& adapter, const std::string& module,
                               const at::Tensor& weight, const std::string& place) {
  at::Tensor a = part_of(adapter, module, kEmbeddingA), b = part_of(adapter, module, kEmbeddingB);
  at::Tensor magnitude = part_of(adapter, module, kMagnitude);
  if (weight.dim() != 2 || a.dim() != 2 || b.dim() != 2 || a.size(1) != weight.size(0) ||
      b.size(0) != weight.size(1) || a.size(0) != b.size(1) ||
      (magnitude.defined() && (magnitude.dim() != 1 || magnitude.size(0) != weight.size(1)))) {
    fail(ExitCode::kModel, "{}: '{}' is {}, the adapter's A is {} and B {}", place, module,
         shape_text(weight.sizes()), shape_text(a.sizes()), shape_text(b.sizes()));
  }
  const double scale = scale_of(adapter, module, a.size(0), place);
  if (!magnitude.defined()) return lora_weight(weight, b.t(), a.t(), {}, scale);
  return lora_weight(weight.t(), a, b, magnitude, scale).t().contiguous();
}

at::Tensor with_rows(const at::Tensor& weight, int64_t rows) {
  if (weight.dim() != 2 || weight.size(0) == rows) return weight;
  if (weight.size(0) > rows) return weight.narrow(0, 0, rows);
  at::Tensor mean = weight.to(at::kFloat).mean(0, /*keepdim=*/true).to(weight.scalar_type());
  return at::cat({weight, mean.expand({rows - weight.size(0), weight.size(1)})});
}

at::Tensor saved_or_base(const PeftAdapter& adapter, const std::string& name,
                         const at::Tensor& base, int64_t rows, const std::string& place) {
  auto saved = adapter.tensors.find(name);
  if (saved == adapter.tensors.end()) return with_rows(base, rows);
  auto expected = base.sizes().vec();
  if (!expected.empty()) expected[0] = rows;
  if (saved->second.sizes() != at::IntArrayRef(expected)) {
    fail(ExitCode::kModel, "{}: '{}' is {}, the adapter has {}", place, name, shape_text(expected),
         shape_text(saved->second.sizes()));
  }
  return saved->second;
}

}  // namespace

std::optional<LoraPart> lora_part(const std::string& name) {
  size_t at = name.find(".lora_");
  if (at == name.npos) return std::nullopt;
  return LoraPart{name.substr(0, at), name.substr(at + 1)};
}

at::Tensor adapted_tensor(const PeftAdapter& adapter, const std::string& name,
                          const at::Tensor& base, int64_t rows, const std::string& place) {
  at::NoGradGuard no_gradients;
  at::Tensor tensor = saved_or_base(adapter, name, base, rows, place);
  if (name.ends_with(kBias)) {
    std::string module = name.substr(0, name.size() - kBias.size());
    at::Tensor bias = part_of(adapter, module, kBiasOfB);
    if (!bias.defined()) return tensor;
    if (bias.sizes() != tensor.sizes()) {
      fail(ExitCode::kModel, "{}: '{}' is {}, the adapter's bias {}", place, name,
           shape_text(tensor.sizes()), shape_text(bias.sizes()));
    }
    double scale = adapter.lora.for_module(module).scale();
    return tensor.to(at::kFloat) + bias.to(at::kFloat) * scale;
  }
  if (!name.ends_with(kWeight)) return tensor;
  std::string module = name.substr(0, name.size() - kWeight.size());
  tensor = with_trainable_tokens(adapter, module, tensor, place);
  if (part_of(adapter, module, kA).defined()) return with_lora(adapter, module, tensor, place);
  if (part_of(adapter, module, kEmbeddingA).defined()) {
    return with_embedding_lora(adapter, module, tensor, place);
  }
  return tensor;
}

void check_all_used(const PeftAdapter& adapter, const std::set<std::string>& known,
                    const std::string& place) {
  auto refuse = [&](const std::string& name, std::string_view why) {
    fail(ExitCode::kModel, "{}: the adapter's tensor '{}' {}", place, name, why);
  };
  for (const auto& [name, tensor] : adapter.tensors) {
    auto part = lora_part(name);
    if (!part && name.ends_with(kTrainableTokens)) {
      const std::string module = name.substr(0, name.rfind('.'));
      if (!known.contains(module + std::string(kWeight))) {
        refuse(name, "fits no tensor of the base model");
      }
      continue;
    }
    if (!part) {
      if (!known.contains(name)) refuse(name, "fits no tensor of the base model");
      continue;
    }
    auto has = [&](const char* other) { return part_of(adapter, part->module, other).defined(); };
    const bool embedding = has(kEmbeddingA) || has(kEmbeddingB);
    const bool of_bias = part->part == kBiasOfB;
    const bool known_part = part->part == kMagnitude ||
                            part->part == (embedding ? kEmbeddingA : kA) ||
                            part->part == (embedding ? kEmbeddingB : kB);
    if (!known_part && !of_bias) refuse(name, "is no part of LoRA or DoRA");
    if (!known.contains(part->module + std::string(of_bias ? kBias : kWeight))) {
      refuse(name, "fits no tensor of the base model");
    }
    bool whole = embedding ? has(kEmbeddingA) && has(kEmbeddingB) : has(kA) && has(kB);
    if (!of_bias && !whole) refuse(name, "lacks its partner");
    if (!of_bias && adapter.lora.use_dora != has(kMagnitude)) {
      refuse(name, adapter.lora.use_dora ? "lacks its lora_magnitude_vector"
                                         : "has a lora_magnitude_vector without use_dora");
    }
  }
}

}  // namespace longspan
