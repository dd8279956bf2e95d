#include "checkpoints/hf/hf_importer.h"

#include <ATen/ops/aminmax.h>
#include <ATen/ops/equal.h>

#include <cmath>
#include <map>

#include "checkpoints/dtype.h"
#include "checkpoints/hf/hf_config.h"
#include "checkpoints/mapped_file.h"
#include "checkpoints/model_source.h"
#include "checkpoints/tensor_names.h"

namespace longspan {

namespace {

bool is_of_integers(const TensorInfo& info) {
  auto dtype = from_safetensors_dtype(info.dtype);
  return dtype && !c10::isFloatingType(*dtype);
}

/// Whether a file has embeddings twice and not alike. Where config.json ties them transformers 5
/// takes both then, and those before it one.
bool has_another_head(const ModelSource& source, const std::vector<TensorInfo>& tensors) {
  if (!find_tensor(tensors, kLmHead) || !find_tensor(tensors, kEmbedTokens)) return false;
  return !at::equal(source.tensor(kLmHead), source.tensor(kEmbedTokens));
}

/// Which tensor of the source each parameter takes; all that does not fit is one error.
std::map<std::string, std::string> match_tensors(CausalLm& model, const ModelSource& source) {
  const bool source_ties = read_hf_config(source).tie_word_embeddings;
  const auto tensors = source.tensors();
  std::map<std::string, std::vector<int64_t>> surplus;
  std::map<std::string, std::string> tensor_of;
  std::vector<std::string> wrong;
  for (const auto& info : tensors) {
    if (is_redundant(info.name, model.config().tie_word_embeddings)) continue;
    surplus[info.name] = info.shape;
    if (is_of_integers(info)) {
      wrong.push_back(
          fmt::format("'{}' is {}, expected a floating-point dtype", info.name, info.dtype));
    }
  }
  if (source_ties && has_another_head(source, tensors)) {
    wrong.push_back(fmt::format(
        "'{}' differs from '{}', and config.json ties them; set its tie_word_embeddings to false",
        kLmHead, kEmbedTokens));
  }
  auto shapes = surplus;
  model.visit_parameters("", [&](const std::string& name, at::Tensor& parameter) {
    std::string from = name;
    if (name == kLmHead && !shapes.contains(name) && source_ties) from = kEmbedTokens;
    auto found = shapes.find(from);
    if (found == shapes.end()) {
      wrong.push_back(fmt::format("'{}' is missing", name));
    } else if (parameter.sizes() != at::IntArrayRef(found->second)) {
      wrong.push_back(fmt::format("'{}' is {}, config.json makes it {}", from,
                                  shape_text(found->second), shape_text(parameter.sizes())));
    }
    surplus.erase(from);
    tensor_of[name] = from;
  });
  for (const auto& [name, shape] : surplus) {
    wrong.push_back(fmt::format("'{}' has no place in the model", name));
  }
  if (!wrong.empty()) {
    fail(ExitCode::kModel, "{}: {} tensors do not fit a {} model:\n  {}", source.path().string(),
         wrong.size(), model.config().model_type, fmt::join(fault_lines(wrong), "\n  "));
  }
  return tensor_of;
}

/// A tensor in options.dtype. What checking it brought into memory leaves again.
at::Tensor load(const ModelSource& source, const std::string& name, const ImportOptions& options) {
  at::Tensor stored = source.tensor(name);
  if (!stored.is_floating_point()) {
    fail(ExitCode::kModel, "{}: tensor '{}' is {}, expected a floating-point dtype",
         source.path().string(), name, c10::toString(stored.scalar_type()));
  }
  check_finite(stored, name, source.path().string());
  if (auto bytes = mapped_bytes(stored)) bytes->forget();
  return stored.to(options.dtype);
}

}  // namespace

void check_finite(const at::Tensor& tensor, const std::string& name, const std::string& place) {
  if (tensor.numel() == 0 || !tensor.is_floating_point()) return;
  auto [low, high] = at::aminmax(tensor);  // one pass without a temporary; NaN comes through
  if (!std::isfinite(low.item<double>()) || !std::isfinite(high.item<double>())) {
    fail(ExitCode::kModel,
         "{}: tensor '{}' holds NaN or infinite values; the file is damaged or "
         "its training diverged",
         place, name);
  }
}

void require_fitting_tensors(const ModelSource& source, const ModelConfig& config) {
  match_tensors(*make_causal_lm(config), source);
}

std::unique_ptr<CausalLm> import_model(const ModelSource& source, const ModelConfig& config,
                                       const ImportOptions& options) {
  auto model = make_causal_lm(config);
  auto tensor_of = match_tensors(*model, source);
  if (options.quantization != Quantization::kNone) {
    model->visit_linears([&](const std::string& name, std::unique_ptr<Linear>& linear) {
      at::Tensor weight = load(source, tensor_of.at(name + ".weight"), options);
      linear->quantized = quantize_weight(weight, options.quantization);
      if (auto bytes = mapped_bytes(weight)) bytes->forget();
      linear->weight.reset();
    });
  }
  model->visit_parameters("", [&](const std::string& name, at::Tensor& parameter) {
    parameter = load(source, tensor_of.at(name), options);
  });
  return model;
}

std::unique_ptr<CausalLm> import_model(const ModelSource& source, const ImportOptions& options) {
  return import_model(source, read_hf_config(source), options);
}

}  // namespace longspan
