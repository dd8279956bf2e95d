#include "checkpoints/hf/hf_rope.h"

#include <algorithm>
#include <cmath>
#include <iterator>

#include "checkpoints/hf/hf_lengths.h"
#include "src/core/log.h"
#include "src/core/text.h"
#include "src/model/family.h"

namespace longspan {

namespace {

constexpr const char* kPartialRotaryFactor = "partial_rotary_factor";
constexpr const char* kFullAttention = "full_attention";
constexpr const char* kSlidingAttention = "sliding_attention";
constexpr const char* kTruncate = "truncate";

struct Rope {
  std::shared_ptr<const RopeScaling> scaling;
  double theta;
};

bool present(const Json& map, const char* key) {
  auto found = map.find(key);
  return found != map.end() && !found->is_null();
}

/// transformers leaves out keys that the formula does not know, with a warning. The original length
/// beside a linear factor is read all the same; see read_original_length.
void warn_of_unused(std::vector<std::string> keys, const RopeScaling& scaling,
                    const std::string& place, const std::string& file) {
  if (scaling.rope_type() == "linear") std::erase(keys, kOriginalMaxPositionEmbeddings);
  if (keys.empty()) return;
  log_warning_once("{}: {}: RoPE {} has no {}; left out, as transformers does", file, place,
                   scaling.rope_type(), join(keys, ", "));
}

/// One map of RoPE keys, or null. `theta` is what holds when the map has none.
Rope read_rope(Json map, const std::string& place, double theta, const ModelConfig& config,
               Diagnostics& diagnostics) {
  const bool by_layer_type = config.decoder.local_rope.has_value();
  if (map.is_object() && by_layer_type && map.erase(kTruncate) > 0) {
    log_warning_once("{}: {}: truncate left out, as transformers does", diagnostics.file(), place);
  }
  if (map.is_object() && family_of(config.model_type).only_longrope) {
    for (const char* key : {"rope_type", "type"}) {  // Phi3Config takes "yarn" for "longrope"
      if (present(map, key) && map[key] == "yarn") map[key] = "longrope";
    }
  }
  if (map.is_object() && !by_layer_type && present(config.source, kOriginalMaxPositionEmbeddings)) {
    // As in transformers it goes before the map's own. Phi-3's configs have it, and ours for
    // llama.cpp's converter.
    Json completed = complete_rope_parameters(map, config.max_position_embeddings);
    if (completed.contains(kOriginalMaxPositionEmbeddings))
      map[kOriginalMaxPositionEmbeddings] = config.source[kOriginalMaxPositionEmbeddings];
  }
  map = complete_rope_parameters(std::move(map), config.max_position_embeddings);
  const double part = config.decoder.partial_rotary_factor;
  Fields fields(map, diagnostics, place);
  RopeParameters read = read_rope_parameters(fields, theta, part);
  warn_of_unused(std::move(read.unknown), *read.scaling, place, diagnostics.file());
  if (read.partial_rotary_factor != part) {
    fields.error(kPartialRotaryFactor,
                 fmt::format("{} is not supported in a {} model; expected {}",
                             read.partial_rotary_factor, config.model_type, part));
  }
  return {std::move(read.scaling), read.rope_theta};
}

/// rope_parameters of the layers with full attention; of all layers in families without a local
/// RoPE.
Json global_parameters(const ModelConfig& config, Diagnostics& diagnostics) {
  Json map = config.source.value("rope_parameters", Json());
  if (!map.is_object()) return map;
  bool by_layer_type = map.contains(kFullAttention) || map.contains(kSlidingAttention);
  if (by_layer_type != config.decoder.local_rope.has_value()) {
    diagnostics.error(
        "rope_parameters",
        fmt::format("{}; a {} model has {}",
                    by_layer_type ? "is given by layer type" : "is one map", config.model_type,
                    by_layer_type ? "one RoPE for all layers"
                                  : "one for full_attention and one for sliding_attention"));
  }
  return by_layer_type ? map.value(kFullAttention, Json()) : map;
}

/// Whether `map` names its type as transformers did until 4.42, whose documentation leaves
/// max_position_embeddings at the original length; later ones, by rope_type, extend it.
bool is_older_spelling(const Json& map) { return map.is_object() && present(map, "type"); }

/// The length before a linear factor, where config.json says it: in
/// original_max_position_embeddings, or by another key of length that is max_position_embeddings x
/// factor. Else max_position_embeddings, where that over the factor is no length that a model was
/// trained with. Of models shorter than any of our families' the spelling of the keys decides.
std::optional<int64_t> read_original_length(const ModelConfig& config, const Json& map) {
  constexpr int64_t kShortest = 2048;  // LLaMA's; none of our families had less
  if (config.rope_scaling->rope_type() != "linear") return std::nullopt;
  const int64_t stated = config.max_position_embeddings;
  for (const Json* keys : {&config.source, &map}) {
    if (!keys->is_object() || !present(*keys, kOriginalMaxPositionEmbeddings)) continue;
    const Json& original = (*keys)[kOriginalMaxPositionEmbeddings];
    if (original.is_number_integer() && original > 0 && original <= stated) {
      return original.get<int64_t>();
    }
  }
  const double factor = config.rope_scaling->factor();
  const int64_t extended = std::llround(static_cast<double>(stated) * factor);
  const double before = static_cast<double>(stated) / factor;
  const bool states_extended =
      std::any_of(std::begin(kLengthKeys), std::end(kLengthKeys), [&](const char* key) {
        return present(config.source, key) && config.source[key] == extended;
      });
  const bool is_short = stated < kShortest;  // a model for tests
  const auto shortest = static_cast<double>(is_short ? config.head_dim : kShortest);
  if (states_extended || before < shortest || before != std::floor(before)) return stated;
  if (!is_short) return std::nullopt;
  return is_older_spelling(map) ? stated : static_cast<int64_t>(before);
}

void read_local_rope(ModelConfig& config, Diagnostics& diagnostics) {
  LocalRope& local = *config.decoder.local_rope;
  Json map = config.source.value("rope_parameters", Json());
  if (map.is_object()) map = map.value(kSlidingAttention, Json());
  Rope rope = read_rope(map, fmt::format("rope_parameters.{}", kSlidingAttention), local.rope_theta,
                        config, diagnostics);
  local = {rope.theta, rope.scaling};
}

/// Phi-3 knows LongRoPE only: the same frequencies as its factors, alike for all lengths.
Json as_longrope(const ModelConfig& config) {
  const RopeScaling& scaling = *config.rope_scaling;
  RopeGeometry geometry = config.rope_geometry();
  RopeFrequencies scaled = scaling.frequencies(geometry, config.max_position_embeddings);
  std::vector<double> divisors = unscaled_inv_freq(geometry);
  for (size_t i = 0; i < divisors.size(); ++i) divisors[i] /= scaled.inv_freq[i];
  const int64_t original =
      config.original_max_position_embeddings.value_or(geometry.max_position_embeddings);
  return {{"rope_theta", geometry.rope_theta},
          {"rope_type", "longrope"},
          {"factor", scaling.factor()},
          {"short_factor", divisors},
          {"long_factor", divisors},
          {"attention_factor", scaled.attention_factor},
          {kOriginalMaxPositionEmbeddings, original}};
}

Json global_entry(const ModelConfig& config) {
  Json entry = config.rope_scaling->config_entry(config.rope_geometry());
  bool stated = entry["rope_type"] == "default" || entry["rope_type"] == "longrope";
  require_statable_rope(config, *config.rope_scaling);
  if (family_of(config.model_type).only_longrope && !stated) entry = as_longrope(config);
  if (config.decoder.partial_rotary_factor != 1) {
    entry[kPartialRotaryFactor] = config.decoder.partial_rotary_factor;
  }
  return entry;
}

/// Whether transformers 4's Phi3Config computes the other keys of `entry` from the lengths that
/// stand beside rope_scaling. In rope_scaling it takes three keys and refuses any other.
bool follows_from_lengths(const Json& entry, const ModelConfig& config) {
  return family_of(config.model_type).only_longrope && !entry.contains("attention_factor") &&
         entry["factor"] == static_cast<double>(config.max_position_embeddings) /
                                entry[kOriginalMaxPositionEmbeddings].get<double>();
}

}  // namespace

void require_statable_rope(const ModelConfig& config, const RopeScaling& scaling) {
  const std::string& model_type = config.model_type;
  const Json keys = scaling.write();
  if (present(keys, "short_mscale")) {
    fail(ExitCode::kModel,
         "short_mscale {} and long_mscale {} differ, which transformers does not read in a {} "
         "model: it computes the attention factor from `factor`; give attention_factor, one for "
         "all lengths",
         keys["short_mscale"].dump(), keys["long_mscale"].dump(), model_type);
  }
  if (config.decoder.local_rope && keys.contains(kTruncate) && keys[kTruncate] == false) {
    fail(ExitCode::kModel,
         "truncate: false is not read by transformers in a {} model, whose RoPE is given by layer "
         "type; leave it out",
         model_type);
  }
  if (!family_of(model_type).only_longrope || scaling.rope_type() != "dynamic") return;
  auto statable = rope_types();
  std::erase(statable, "dynamic");
  fail(ExitCode::kModel,
       "rope_type 'dynamic' changes with the length, which no config.json of a {} model can state "
       "(transformers reads longrope alone there; others are written as its factors); expected one "
       "of {}",
       model_type, join(statable, ", "));
}

void read_hf_rope(ModelConfig& config, Diagnostics& diagnostics) {
  Fields root(config.source, diagnostics);
  double theta = config.rope_theta;  // the family's
  root.optional("rope_theta", theta);
  bool modern = present(config.source, "rope_parameters");
  Json map =
      modern ? global_parameters(config, diagnostics) : config.source.value("rope_scaling", Json());
  Rope rope =
      read_rope(map, modern ? "rope_parameters" : "rope_scaling", theta, config, diagnostics);
  config.rope_scaling = rope.scaling;
  config.rope_theta = rope.theta;
  config.original_max_position_embeddings = read_original_length(config, map);
  if (config.decoder.local_rope) read_local_rope(config, diagnostics);
  if (!modern || !diagnostics.empty()) return;

  // What the older style says as well must be the same.
  Rope other{rope.scaling, rope.theta};
  if (present(config.source, "rope_scaling")) {
    other =
        read_rope(config.source["rope_scaling"], "rope_scaling", rope.theta, config, diagnostics);
  }
  root.optional("rope_theta", other.theta);
  if (!diagnostics.empty()) return;
  RopeGeometry geometry = config.rope_geometry();
  Json ours = rope.scaling->config_entry(geometry);
  geometry.rope_theta = other.theta;
  Json theirs = other.scaling->config_entry(geometry);
  if (ours != theirs) {
    diagnostics.error("rope_parameters", fmt::format("{} contradicts rope_theta and rope_scaling, "
                                                     "which say {}; remove one",
                                                     ours.dump(), theirs.dump()));
  }
}

void write_hf_rope(Json& json, const ModelConfig& config) {
  for (const char* key : {"rope_scaling", "rope_parameters"}) json.erase(key);
  // Phi-3 has it with or without scaling.
  if (!family_of(config.model_type).only_longrope) json.erase(kOriginalMaxPositionEmbeddings);
  Json entry = global_entry(config);
  // llama.cpp's converter looks for them here.
  for (const char* key : {kOriginalMaxPositionEmbeddings, kPartialRotaryFactor}) {
    if (entry.contains(key)) json[key] = entry[key];
  }
  if (auto original = config.original_max_position_embeddings;
      original && entry["rope_type"] == "linear") {
    // No key of the scaling; see read_original_length.
    json[kOriginalMaxPositionEmbeddings] = *original;
  }
  json["rope_theta"] = entry["rope_theta"];
  json["rope_parameters"] = entry;
  if (const auto& local = config.decoder.local_rope) {
    Json sliding = local->rope_scaling->config_entry(config.local_rope_geometry());
    json["rope_local_base_freq"] = sliding["rope_theta"];
    json["rope_parameters"] = {{kFullAttention, entry}, {kSlidingAttention, sliding}};
  }
  if (entry["rope_type"] == "default") return;
  entry.erase("rope_theta");
  if (follows_from_lengths(entry, config)) {
    entry = {{"type", entry["rope_type"]},
             {"short_factor", entry["short_factor"]},
             {"long_factor", entry["long_factor"]}};
  }
  json["rope_scaling"] = std::move(entry);
}

}  // namespace longspan
