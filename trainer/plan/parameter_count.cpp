#include "trainer/plan/parameter_count.h"

#include "src/core/text.h"
#include "src/model/causal_lm.h"

namespace longspan {

ParameterCount count_parameters(const ModelConfig& config, const LoraOptions& lora) {
  auto model = make_causal_lm(config);
  ParameterCount count;
  model->visit_parameters("", [&](const std::string& name, at::Tensor& parameter) {
    count.base += parameter.numel();
    std::string module = name.substr(0, name.rfind('.'));
    if (!lora.saves(module)) return;
    bool is_norm = module.ends_with("norm"), is_embedding = module.ends_with("embed_tokens");
    (is_norm ? count.norm : is_embedding ? count.embedding : count.other) += parameter.numel();
  });
  model->visit_linears([&](const std::string& name, std::unique_ptr<Linear>& linear) {
    if (!lora.targets(name)) return;
    count.lora += lora.for_module(name).r * (linear->in_features() + linear->out_features());
    if (lora.use_dora) count.lora += linear->out_features();
  });
  return count;
}

std::string ParameterCount::to_string() const {
  std::vector<std::string> kinds;
  const auto add = [&](const char* kind, int64_t count) {
    if (count > 0) kinds.push_back(fmt::format("{} {}", kind, human_count(count)));
  };
  add("lora", lora);
  add("norm", norm);
  add("embedding", embedding);
  add("other", other);
  return fmt::format("{} of {} ({})", human_count(trainable()), human_count(base),
                     join(kinds, ", "));
}

}  // namespace longspan
