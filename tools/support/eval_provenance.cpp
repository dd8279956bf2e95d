#include "tools/support/eval_provenance.h"

#include <ATen/Parallel.h>

#include "checkpoints/weights_fingerprint.h"
#include "src/core/version.h"
#include "tools/support/models_of_arms.h"
#include "trainer/eval/eval_result.h"

namespace longspan {

namespace {

/// {"far": {"arm": "retrieval", its keys}}
Json arm_settings(const Arguments& arguments, const std::vector<NamedArm>& arms) {
  const auto models = models_of_arms(arguments, arms);
  Json settings = Json::object();
  for (const NamedArm& arm : arms) {
    Json& keys = settings[arm.label] = {{"arm", arm.arm->name()}};
    keys.update(arm.arm->write());
    if (models.contains(arm.label)) keys["model"] = models.at(arm.label);
  }
  return settings;
}

}  // namespace

Json eval_provenance(const Arguments& arguments, const OpenedModel& opened,
                     const Tokenizer& tokenizer, const std::vector<NamedArm>& arms) {
  const ModelConfig& config = opened.model->config();
  Json attention = {{"pattern", opened.model->attention().name()}};
  attention.update(opened.model->attention().write());
  Json adapter;
  if (arguments.given("adapter")) adapter = arguments["adapter"];
  return {{"longspan_version", version()},
          {"date", utc_now()},
          {"model", arguments["model"]},
          {"adapter", adapter},
          {"weights_fingerprint", weights_fingerprint(*opened.source)},
          {"max_position_embeddings", config.max_position_embeddings},
          {"rope_on_disk", opened.rope_before},
          {"rope", opened.rope_after},
          {"attention", attention},
          {"dtype", arguments["dtype"]},
          {"quantization", arguments["quantization"]},
          {"tokenizer_fingerprint", tokenizer.fingerprint()},
          {"arm_settings", arm_settings(arguments, arms)},
          {"peak_memory",
           "VmHWM of the process, which begins anew with each item (/proc/self/clear_refs)"},
          {"device", opened.model->lm_head_weight().device().str()},
          {"threads", at::get_num_threads()},
          {"cpu", cpu_name()}};
}

Json answer_identity(const Json& provenance) {
  Json identity = Json::object();
  for (const char* key : {"longspan_version", "weights_fingerprint", "rope", "attention", "dtype",
                          "quantization", "tokenizer_fingerprint", "device"}) {
    identity[key] = provenance.at(key);
  }
  for (const auto& [label, keys] : provenance.at("arm_settings").items()) {
    if (keys.contains("model")) identity["model of " + label] = keys.at("model");
  }
  return identity;
}

}  // namespace longspan
