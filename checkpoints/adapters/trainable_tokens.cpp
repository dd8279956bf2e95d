#include "checkpoints/adapters/trainable_tokens.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/index_copy.h>
#include <ATen/ops/result_type.h>
#include <ATen/ops/tensor.h>

#include <algorithm>

#include "checkpoints/tensor_info.h"

namespace longspan {

namespace {

constexpr const char* kEmbeddings = "model.embed_tokens";

std::optional<std::vector<int64_t>> as_indices(const Json& list) {
  if (!list.is_array()) return std::nullopt;
  std::vector<int64_t> indices;
  for (const auto& index : list) {
    if (!index.is_number_integer() || index < 0) return std::nullopt;
    indices.push_back(index.get<int64_t>());
  }
  return indices;
}

/// The rows that the config names for `module`. lm_head of a tied model has embed_tokens' where it
/// is not named.
Json rows_of(const Json& named, const std::string& module) {
  if (!named.is_object()) return named;
  for (const auto& name : {module, std::string(kEmbeddings)}) {
    for (const auto& [target, rows] : named.items()) {
      if (is_target(name, target)) return rows;
    }
  }
  return nullptr;
}

at::Tensor rows_trained(const PeftAdapter& adapter, const std::string& module) {
  auto found = adapter.tensors.find(fmt::format("{}.{}", module, kTrainableTokens));
  return found == adapter.tensors.end() ? at::Tensor() : found->second;
}

}  // namespace

std::map<std::string, std::vector<int64_t>> read_trainable_tokens(
    const Json& json, const std::map<std::string, at::Tensor>& tensors, Fields& fields) {
  const bool of_lora = json.value("peft_type", Json()) != "TRAINABLE_TOKENS";
  const char* key = of_lora ? "trainable_token_indices" : "token_indices";
  Json named;
  fields.optional(key, named);
  std::map<std::string, std::vector<int64_t>> trained;
  for (const auto& [name, tensor] : tensors) {
    const std::string ending = fmt::format(".{}", kTrainableTokens);
    if (!name.ends_with(ending)) continue;
    const std::string module = name.substr(0, name.size() - ending.size());
    const auto indices = as_indices(rows_of(named, module));
    if (!indices || tensor.dim() != 2 || tensor.size(0) != static_cast<int64_t>(indices->size())) {
      fields.error(key, fmt::format("does not name the rows of '{}', which is {}; expected a list "
                                    "of as many ids, or {{module: list}}",
                                    name, shape_text(tensor.sizes())));
      continue;
    }
    trained[module] = *indices;
  }
  return trained;
}

at::Tensor with_trainable_tokens(const PeftAdapter& adapter, const std::string& module,
                                 const at::Tensor& weight, const std::string& place) {
  const at::Tensor rows = rows_trained(adapter, module);
  if (!rows.defined()) return weight;
  const std::vector<int64_t>& indices = adapter.trainable_tokens.at(module);
  const bool within = std::all_of(indices.begin(), indices.end(),
                                  [&](int64_t index) { return index < weight.size(0); });
  if (weight.dim() != 2 || rows.size(1) != weight.size(1) || !within) {
    fail(ExitCode::kModel, "{}: '{}' is {}, the adapter replaces {} rows of {} up to id {}", place,
         module, shape_text(weight.sizes()), indices.size(), rows.size(1),
         indices.empty() ? 0 : *std::max_element(indices.begin(), indices.end()));
  }
  const at::ScalarType dtype = at::result_type(weight, rows);
  return at::index_copy(weight.to(dtype), 0, at::tensor(indices, at::kLong), rows.to(dtype));
}

bool trains_tokens_alike(const PeftAdapter& adapter) {
  const at::Tensor embeddings = rows_trained(adapter, kEmbeddings);
  const at::Tensor head = rows_trained(adapter, "lm_head");
  if (!head.defined()) return true;
  return embeddings.defined() && at::equal(embeddings, head) &&
         adapter.trainable_tokens.at(kEmbeddings) == adapter.trainable_tokens.at("lm_head");
}

}  // namespace longspan
