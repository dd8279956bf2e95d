#include "recipes/resume_identity.h"

#include <algorithm>
#include <initializer_list>

#include "checkpoints/run_state/train_state.h"

namespace longspan {

namespace {

void erase(Json& map, const char* key, std::initializer_list<const char*> free) {
  if (!map.contains(key) || !map[key].is_object()) return;
  for (const char* name : free) map[key].erase(name);
  if (map[key].empty()) map.erase(key);
}

/// A list of names in which order and repetition say nothing.
void sort_names(Json& map, const char* key) {
  if (!map.is_object() || !map.contains(key) || !map[key].is_array()) return;
  Json& names = map[key];
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
}

void erase_what_may_change(Json& identity) {
  for (const char* key : {"memory", "optimizer", "lr_schedule", "loss"}) identity.erase(key);
  erase(identity, "model", {"dtype", "quantization"});
  erase(identity, "lora", {"lora_dropout"});
  for (const char* key : {"target_modules", "modules_to_save"}) {
    if (identity.contains("lora")) sort_names(identity["lora"], key);
  }
  erase(identity, "train", {"max_grad_norm", "loss_chunk_tokens", "threads", "deterministic"});
}

/// Whether another batch_size trains something else: the negatives of focused memory are the other
/// rows of the pass.
bool rows_of_a_pass_meet(const Json& stage) {
  const Json attention = stage.value("attention", Json());
  return attention.is_object() && attention.value("pattern", Json()) == "focused_memory";
}

int64_t count_in(const Json& stage, const char* key) {
  const Json value = stage.value(key, Json());
  return value.is_number_integer() ? value.get<int64_t>() : 0;
}

}  // namespace

Json resume_identity(const Recipe& recipe) {
  Json json = resolved_recipe(recipe);
  for (const char* key : {"validation", "checkpoint", "output"}) json.erase(key);
  erase(json, "model", {"path"});           // folders move; what is in them is compared by itself
  erase(json, "data", {"path", "scores"});  // and the documents that they keep
  for (Json& stage : json["stages"]) stage.erase("data_path");
  if (recipe.packing.is_default()) json.erase("packing");  // runs of before had no such map
  // Whoever may go on has said it; only "compose" gives other frequencies.
  if (recipe.model.on_scaled != "compose") erase(json, "model", {"on_scaled"});
  return json;
}

Json identity_at(const Json& identity, int64_t step) {
  Json bound = identity;
  if (!bound.is_object()) return bound;
  erase_what_may_change(bound);
  if (!bound.contains("stages") || !bound["stages"].is_array()) return bound;
  const Json train = bound.value("train", Json());
  // Which stage a step is of follows from the steps of all.
  if (train.is_object() && train.value("interleave", Json()) == true) return bound;
  Json begun = Json::array();
  for (Json stage : bound["stages"]) {
    if (step <= 0 || !stage.is_object()) break;
    const int64_t steps = count_in(stage, "steps");
    stage["steps"] = std::min(steps, step);
    if (!rows_of_a_pass_meet(stage)) {
      stage["rows_per_step"] =
          count_in(stage, "batch_size") * count_in(stage, "gradient_accumulation_steps");
      stage.erase("batch_size");
      stage.erase("gradient_accumulation_steps");
    }
    erase(stage, "attention", {"mem_dir"});
    begun.push_back(std::move(stage));
    step -= steps;
  }
  bound["stages"] = std::move(begun);
  return bound;
}

void require_same_run(const Json& saved, const Json& current, int64_t step,
                      const std::string& place) {
  Json then = identity_at(saved, step), now = identity_at(current, step);
  const Json model = then.is_object() ? then.value("model", Json()) : Json();
  if (model.contains("config")) {
    for (Json* identity : {&then, &now}) erase(*identity, "model", {"config_sha256"});
  } else {
    erase(now, "model", {"config"});
  }
  if (!model.contains("weights_sha256") && then.contains("data")) {
    erase(then, "data", {"documents_sha256"});  // of the documents' names and lengths
    erase(now, "data", {"tokens_sha256"});
    erase(now, "model", {"weights_sha256"});
  }
  require_same_identity(then, now, place);
}

}  // namespace longspan
