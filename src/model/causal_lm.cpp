#include "src/model/causal_lm.h"

#include "src/core/text.h"
#include "src/model/llama.h"

namespace longspan {

namespace {

struct Family {
  const char* model_type;
  std::unique_ptr<CausalLm> (*make)(const ModelConfig&);
};

template <class Model>
std::unique_ptr<CausalLm> make(const ModelConfig& config) {
  return std::make_unique<Model>(config);
}

// A new family is a file and a line here.
constexpr Family kFamilies[] = {
    {"llama", make<LlamaForCausalLm>},
};

}  // namespace

CausalLm::CausalLm(ModelConfig config)
    : config_(std::move(config)), attention_(make_attention_pattern("full")) {}

void CausalLm::set_rope_scaling(std::shared_ptr<const RopeScaling> scaling,
                                int64_t max_position_embeddings) {
  config_.rope_scaling = std::move(scaling);
  config_.max_position_embeddings = max_position_embeddings;
}

void CausalLm::set_attention(std::shared_ptr<const AttentionPattern> attention) {
  attention_ = std::move(attention);
}

std::vector<std::string> model_types() {
  std::vector<std::string> types;
  for (const auto& family : kFamilies) types.emplace_back(family.model_type);
  return types;
}

std::unique_ptr<CausalLm> make_causal_lm(const ModelConfig& config) {
  for (const auto& family : kFamilies) {
    if (family.model_type == config.model_type) return family.make(config);
  }
  fail(ExitCode::kModel, "model_type '{}' is not known; expected one of {}", config.model_type,
       join(model_types(), ", "));
}

}  // namespace longspan
