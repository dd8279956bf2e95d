#include "tools/support/eval_provenance.h"

#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <torch/headeronly/version.h>

#include <ctime>
#include <fstream>
#include <string>

#include "checkpoints/weights_fingerprint.h"
#include "src/core/version.h"

namespace longspan {

namespace {

/// The first "model name" of /proc/cpuinfo, or "unknown".
std::string cpu_name() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    size_t colon = line.find(": ");
    if (line.starts_with("model name") && colon != line.npos) return line.substr(colon + 2);
  }
  return "unknown";
}

/// "2026-11-23T02:00:00Z"
std::string utc_now() {
  std::time_t now = std::time(nullptr);
  std::tm utc{};
  gmtime_r(&now, &utc);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
  return text;
}

/// What a model is, wherever it lies.
Json contents_of(const OpenedModel& opened) {
  Json attention = {{"pattern", opened.model->attention().name()}};
  attention.update(opened.model->attention().write());
  return {{"weights_fingerprint", weights_fingerprint(*opened.source)},
          {"max_position_embeddings", opened.model->config().max_position_embeddings},
          {"rope_on_disk", opened.rope_before},
          {"rope", opened.rope_after},
          {"attention", attention}};
}

/// {"far": {"arm": "retrieval", its keys}}, and of an arm with a model of its own
/// {"model": path, "model_contents": {...}}.
Json arm_settings(const Arguments& arguments, const OpenedModel& opened,
                  const std::vector<NamedArm>& arms, const ModelsOfArms& models) {
  const auto paths = models_of_arms(arguments, arms);
  Json settings = Json::object();
  for (const NamedArm& arm : arms) {
    Json& keys = settings[arm.label] = {{"arm", arm.arm->name()}};
    const auto own = models.find(arm.label);
    const bool has_own = own != models.end();
    keys.update(arm.arm->settings((has_own ? own->second : opened).model->config()));
    if (!has_own) continue;
    keys["model"] = paths.at(arm.label);
    keys["model_contents"] = contents_of(own->second);
  }
  return settings;
}

}  // namespace

Json eval_provenance(const Arguments& arguments, const OpenedModel& opened,
                     const Tokenizer& tokenizer, const std::vector<NamedArm>& arms,
                     const ModelsOfArms& models) {
  Json adapter;
  if (arguments.given("adapter")) adapter = arguments["adapter"];
  const auto bos = bos_token_of(*opened.source, opened.model->config());
  Json provenance = {{"longspan_version", version()},
                     {"libtorch_version", TORCH_VERSION},
                     {"date", utc_now()},
                     {"model", arguments["model"]},
                     {"adapter", adapter}};
  provenance.update(contents_of(opened));
  provenance.update(
      {{"dtype", arguments["dtype"]},
       {"quantization", arguments["quantization"]},
       {"tokenizer_fingerprint", tokenizer.fingerprint()},
       {"bos_token_id", bos ? Json(*bos) : Json()},
       {"arm_settings", arm_settings(arguments, opened, arms, models)},
       {"peak_memory",
        "VmHWM of the process, which begins anew with each item (/proc/self/clear_refs)"},
       {"device", opened.model->lm_head_weight().device().str()},
       {"threads", at::get_num_threads()},
       {"cpu", cpu_name()}});
  return provenance;
}

Json answer_identity(const Json& provenance) {
  Json identity = Json::object();
  for (const char* key : {"longspan_version", "libtorch_version", "weights_fingerprint",
                          "max_position_embeddings", "rope", "attention", "dtype", "quantization",
                          "tokenizer_fingerprint", "bos_token_id", "device"}) {
    identity[key] = provenance.at(key);
  }
  for (const auto& [label, keys] : provenance.at("arm_settings").items()) {
    if (!keys.contains("model_contents")) {
      identity[fmt::format("weights_fingerprint of the model of {}", label)] = nullptr;
      continue;
    }
    for (const auto& [key, value] : keys.at("model_contents").items()) {
      identity[fmt::format("{} of the model of {}", key, label)] = value;
    }
  }
  return identity;
}

}  // namespace longspan
