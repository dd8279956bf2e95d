#include "src/model/model_attention.h"

#include <fmt/format.h>

#include <vector>

#include "src/attention/shifted_sparse.h"
#include "src/core/text.h"

namespace longspan {

namespace {

const ShiftedSparseAttention* as_shifted_sparse(const AttentionPattern& pattern) {
  return dynamic_cast<const ShiftedSparseAttention*>(&pattern);
}

}  // namespace

std::string misfit_of_attention(const AttentionPattern& pattern, const ModelConfig& config) {
  std::string misfit = pattern.misfit(config.num_hidden_layers);
  const auto* sparse = as_shifted_sparse(pattern);
  if (sparse && misfit.empty()) misfit = sparse->misfit_of_heads(config.num_attention_heads);
  return misfit;
}

std::string describe_attention(const AttentionPattern& pattern, const ModelConfig& config) {
  const std::string name(pattern.name());
  const auto* sparse = as_shifted_sparse(pattern);
  if (!sparse) return name;
  std::vector<std::string> parts;
  const auto add = [&](int64_t in_groups, int64_t all, const char* what) {
    if (in_groups < all) parts.push_back(fmt::format("{} of {} {}", in_groups, all, what));
  };
  const int64_t layers = config.num_hidden_layers, heads = config.num_attention_heads;
  add(sparse->heads_in_groups(heads), heads, "heads");
  add(sparse->layers_in_groups(layers), layers, "layers");
  return parts.empty() ? name : fmt::format("{} in {}", name, join(parts, " of "));
}

}  // namespace longspan
