#include "recipes/idle_keys.h"

#include <algorithm>
#include <bit>
#include <set>

#include "src/attention/focused_memory.h"
#include "src/attention/full.h"
#include "src/core/error.h"
#include "src/core/log.h"
#include "src/model/apply_lora.h"
#include "src/model/causal_lm.h"

namespace longspan {

namespace {

bool is_given(const Recipe& recipe, const char* map, const char* key) {
  const Json keys = recipe.given.value(map, Json());
  return keys.is_object() && !keys.value(key, Json()).is_null();
}

/// What stands beside `stages` for those that have none of their own, and all have.
void find_idle_shared_keys(const Recipe& recipe, Diagnostics& found) {
  const Json stages = recipe.given.value("stages", Json());
  if (!stages.is_array()) return;
  const Json train = recipe.given.value("train", Json());
  auto find = [&](const Json& map, const char* key, const std::string& place) {
    const auto has_it = [&](const Json& from) {
      return from.is_object() && !from.value(key, Json()).is_null();
    };
    if (!has_it(map) || !std::all_of(stages.begin(), stages.end(), has_it)) return;
    found.error(place, "does nothing, since each of the stages has its own; leave it out");
  };
  for (const char* key : {"seq_len", "batch_size", "gradient_accumulation_steps"}) {
    find(train, key, fmt::format("train.{}", key));
  }
  for (const char* key : {"rope", "attention"}) find(recipe.given, key, key);
}

void find_idle_offload(const Recipe& recipe, Diagnostics& found) {
  const MemoryOptions& memory = recipe.train.memory;
  const bool nothing = memory.offload == Offload::kNone || memory.recompute == Recompute::kNone;
  if (is_given(recipe, "memory", "offload_ram") && nothing) {
    found.error("memory.offload_ram",
                "does nothing, since nothing is offloaded; leave it out, or take memory.offload: "
                "ram or disk");
  }
  if (is_given(recipe, "memory", "offload_dir") && (nothing || memory.offload == Offload::kRam)) {
    found.error("memory.offload_dir",
                "does nothing, since nothing is offloaded to a disk; leave it out, or take "
                "memory.offload: disk");
  }
}

void find_idle_schedule(const Recipe& recipe, Diagnostics& found) {
  const LearningRateOptions& schedule = recipe.train.lr_schedule;
  if (!is_given(recipe, "lr_schedule", "min_lr_ratio")) return;
  if (schedule.type == "constant") {
    found.error("lr_schedule.min_lr_ratio",
                "does nothing with type: constant; leave it out, or take cosine or linear");
  } else if (schedule.warmup_steps == total_steps(recipe.stages)) {
    found.error("lr_schedule.min_lr_ratio",
                "does nothing, since the run ends with its warm-up; lower warmup_steps");
  }
}

void find_idle_scores(const Recipe& recipe, Diagnostics& found) {
  const auto has_own = [](const Stage& stage) { return !stage.data_path.empty(); };
  if (recipe.data.scores.empty() || !std::ranges::all_of(recipe.stages, has_own)) return;
  found.error("data.scores",
              "does nothing, since each of the stages has a store of its own (data_path), and "
              "scores are of data.path; leave it out");
}

void find_idle_loss(const Recipe& recipe, Diagnostics& found) {
  const LossOptions& loss = recipe.train.loss;
  constexpr const char* kEffectiveContext = "effective_context";
  constexpr const char* kLongMinusShort = "long_minus_short";
  for (const auto& [key, weights] : {std::pair{"alpha", kEffectiveContext},
                                     {"gamma", kEffectiveContext},
                                     {"tail", kEffectiveContext},
                                     {"short_context", kLongMinusShort},
                                     {"short_step", kLongMinusShort},
                                     {"max_weight", kLongMinusShort}}) {
    if (loss.weights == weights || !is_given(recipe, "loss", key)) continue;
    found.error(fmt::format("loss.{}", key),
                fmt::format("does nothing with weights: {}; leave it out, or take {}", loss.weights,
                            weights));
  }
  if (loss.weights != kEffectiveContext) return;
  const auto begin = static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(loss.tail)));
  if (std::any_of(recipe.stages.begin(), recipe.stages.end(),
                  [&](const Stage& stage) { return begin < stage.seq_len; })) {
    return;
  }
  found.error("loss.tail", fmt::format("the tail begins at {} tokens (the next power of two), and "
                                       "no stage has rows of so many, so that all tokens count "
                                       "alike; lower it",
                                       begin));
}

void find_idle_packing(const Recipe& recipe, Diagnostics& found) {
  if (recipe.packing.document_mask || !recipe.data.only_full_passages) return;
  found.error("packing.document_mask",
              "does nothing, since with data.only_full_passages no row mixes documents; leave one "
              "of the two out");
}

/// Whether a token sees all before it in every layer; where the model is not known, in those that
/// attend in the pattern's own way.
bool sees_all(const AttentionPattern& attention, int64_t seq_len, const ModelConfig* base) {
  constexpr int64_t kManyHeads = 2048;  // more than full_heads of shifted_sparse may be
  const int64_t heads = base ? base->num_attention_heads : kManyHeads;
  const int64_t all = FullAttention().scored_pairs(seq_len, heads);
  if (attention.passage_rows() > 0) return false;
  if (!base) return attention.scored_pairs(seq_len, heads) == all;
  for (int64_t layer = 0; layer < base->num_hidden_layers; ++layer) {
    if (attention.read_pairs(layer, seq_len, heads) != all) return false;
  }
  return true;
}

void find_idle_attention(const Recipe& recipe, const ModelConfig* base, Diagnostics& found) {
  std::set<std::string> said;  // stages may share a key
  for (size_t i = 0; i < recipe.stages.size(); ++i) {
    const int64_t seq_len = recipe.stages[i].seq_len;
    const AttentionPattern& attention = *recipe.stages[i].attention;
    const std::string key = key_of_stage(recipe, i, "attention", "attention");
    if (attention.name() == FullAttention().name() || !sees_all(attention, seq_len, base) ||
        !said.insert(key).second) {
      continue;
    }
    found.error(key, fmt::format("{} lets each of {} tokens see all before it, as full attention "
                                 "does: its groups or window are longer than that, or no layer "
                                 "or head has them",
                                 attention.name(), seq_len));
  }
}

void find_idle_memory(const Recipe& recipe, Diagnostics& found) {
  std::set<std::string> said;
  for (size_t i = 0; i < recipe.stages.size(); ++i) {
    const auto* focused =
        dynamic_cast<const FocusedMemoryAttention*>(recipe.stages[i].attention.get());
    const std::string key = key_of_stage(recipe, i, "attention", "attention");
    if (!focused) continue;
    const FocusedMemoryOptions& options = focused->options();
    const bool wants_others = std::ranges::any_of(
        options.schedule, [](const auto& windows) { return windows.negatives > 0; });
    const int64_t rows = recipe.stages[i].batch_size;
    if (wants_others && rows == focused->passage_rows()) {
      found.error(key_of_stage(recipe, i, "batch_size", "train.batch_size"),
                  fmt::format("{} rows hold one document, and attention.schedule asks for windows "
                              "of others; take {} or more",
                              rows, 2 * rows));
    }
    if (!said.insert(key).second) continue;
    if (options.mem_layers.empty()) {
      found.error(key,
                  "focused_memory has no mem_layers, so that no layer sees more than its own "
                  "window; name some, about at a quarter, a half and three quarters of the "
                  "depth");
    }
    if (options.search_pages > 0 || !options.mem_dir.empty()) {
      found.error(key,
                  "search_pages and mem_dir say how a model is read: training attends to all, and "
                  "config.json has no such key; give them to generate and eval by --attention");
    }
    int64_t row = recipe.validation.seq_len;
    if (row == 0) row = std::ranges::max(recipe.stages, {}, &Stage::seq_len).seq_len;
    if (!recipe.validation.path.empty() && row <= options.lengths.window) {
      found.error("validation.seq_len",
                  fmt::format("{} is a row of one window, which reads no memory; take {} or more",
                              row, 4 * options.lengths.window));
    }
  }
}

template <class T>
void find_idle_patterns(const std::string& key,
                        const std::vector<std::pair<std::string, T>>& patterns,
                        const std::vector<std::string>& modules, Diagnostics& found) {
  std::vector<std::string> left = modules;  // that no pattern before takes
  for (const auto& [pattern, value] : patterns) {
    const auto matches = [&](const auto& module) { return matches_pattern(pattern, module); };
    const std::string place = fmt::format("{}.{}", key, pattern);
    if (std::none_of(modules.begin(), modules.end(), matches)) {
      found.error(place, fmt::format("matches no module that gets LoRA, so that it does nothing; "
                                     "these are {} and the like",
                                     modules.empty() ? "none" : modules.front()));
    } else if (std::erase_if(left, matches) == 0) {
      found.error(place,
                  "does nothing: patterns before it in alphabetical order match all its modules, "
                  "and the first that matches counts");
    }
  }
}

void find_idle_groups(const Recipe& recipe, const std::vector<std::string>& weights,
                      Diagnostics& found) {
  for (size_t i : groups_without_weights(recipe.train.optimizer.groups, weights)) {
    found.error(fmt::format("optimizer.groups.{}", i),
                fmt::format("'{}' is found in the name of no trained weight, those of groups "
                            "before it apart, so that the group does nothing",
                            recipe.train.optimizer.groups[i].pattern));
  }
  const auto has_own_lr = [&](const std::string& name) {
    const ParameterGroup* group = group_of(recipe.train.optimizer.groups, name);
    return group && group->lr;
  };
  if (weights.empty() || !std::all_of(weights.begin(), weights.end(), has_own_lr)) return;
  for (const char* key : {"lr", "lora_plus_ratio"}) {
    if (!is_given(recipe, "optimizer", key)) continue;
    found.error(fmt::format("optimizer.{}", key),
                "does nothing, since every trained weight is in a group with an lr of its own");
  }
}

}  // namespace

std::vector<std::string> idle_keys(const Recipe& recipe, const ModelConfig* base) {
  Diagnostics found = recipe.places;
  find_idle_shared_keys(recipe, found);
  find_idle_offload(recipe, found);
  find_idle_schedule(recipe, found);
  find_idle_scores(recipe, found);
  find_idle_loss(recipe, found);
  find_idle_packing(recipe, found);
  find_idle_attention(recipe, base, found);
  find_idle_memory(recipe, found);
  if (recipe.lora.target_pattern.empty() && recipe.lora.target_modules.empty()) {
    found.error(
        "lora.target_modules",
        "names no projection, and PEFT loads no adapter without one; use what `merge` makes "
        "of the run, or name at least one");
  }
  if (!base) return found.errors();
  auto model = make_causal_lm(*base);
  std::vector<std::string> adapted;
  model->visit_linears([&](const std::string& name, std::unique_ptr<Linear>&) {
    if (recipe.lora.targets(name)) adapted.push_back(name);
  });
  find_idle_patterns("lora.rank_pattern", recipe.lora.rank_pattern, adapted, found);
  find_idle_patterns("lora.alpha_pattern", recipe.lora.alpha_pattern, adapted, found);
  find_idle_groups(recipe, trained_parameters(*model, recipe.lora), found);
  return found.errors();
}

void warn_of_idle_keys(const Recipe& recipe, const ModelConfig* base) {
  for (const auto& what : idle_keys(recipe, base)) log_warning(what);
}

}  // namespace longspan
