#include "src/rope/rope_scaling.h"

#include <cmath>

#include "src/core/fields_reader.h"
#include "src/core/fields_schema.h"
#include "src/core/fields_writer.h"
#include "src/core/text.h"
#include "src/rope/formulas.h"

namespace longspan {

namespace {

struct Formula {
  std::string_view rope_type;
  std::unique_ptr<RopeScaling> (*make)();
};

constexpr const char* kTypeKey = "rope_type";
constexpr const char* kOldTypeKey = "type";  // transformers' before 4.43
constexpr const char* kLongRope = "longrope";
constexpr const char* kOldLongRope = "su";  // Phi-3's first name of it

constexpr Formula kFormulas[] = {
    {"default", make_default_rope}, {"linear", make_linear_rope}, {"dynamic", make_dynamic_rope},
    {"ntk", make_ntk_rope},         {"yarn", make_yarn_rope},     {kLongRope, make_longrope_rope},
    {"llama3", make_llama3_rope},
};

/// The scaling of its rope_type, with its own keys.
std::unique_ptr<RopeScaling> read_formula(Fields& fields) {
  std::string rope_type = "default";
  fields.optional(kOldTypeKey, rope_type);
  fields.optional(kTypeKey, rope_type);
  auto scaling = make_rope_scaling(rope_type);
  if (!scaling) {
    const auto known = rope_types();
    fields.error(fields.has(kTypeKey) ? kTypeKey : kOldTypeKey,
                 fmt::format("'{}' is not known{}; expected one of {}", rope_type,
                             did_you_mean(rope_type, known), join(known, ", ")));
    return nullptr;
  }
  scaling->read(fields);
  return scaling;
}

}  // namespace

std::vector<std::string> rope_types() {
  std::vector<std::string> names;
  for (const auto& formula : kFormulas) names.emplace_back(formula.rope_type);
  return names;
}

std::unique_ptr<RopeScaling> make_rope_scaling(std::string_view rope_type) {
  if (rope_type == kOldLongRope) rope_type = kLongRope;
  for (const auto& formula : kFormulas) {
    if (formula.rope_type == rope_type) return formula.make();
  }
  return nullptr;
}

std::unique_ptr<RopeScaling> read_rope_scaling(Fields fields) {
  auto scaling = read_formula(fields);
  if (!scaling) return make_default_rope();
  fields.finish();
  return scaling;
}

RopeParameters read_rope_parameters(Fields fields, double rope_theta,
                                    double partial_rotary_factor) {
  RopeParameters read{nullptr, rope_theta, partial_rotary_factor, {}};
  fields.in_range("rope_theta", read.rope_theta, 1.0, 1e15);
  fields.in_range("partial_rotary_factor", read.partial_rotary_factor, 0.0, 1.0);
  read.scaling = read_formula(fields);
  if (read.scaling) {
    read.unknown = fields.unknown_keys();
  } else {
    read.scaling = make_default_rope();
  }
  return read;
}

Json complete_rope_parameters(Json map, int64_t max_position_embeddings) {
  if (!map.is_object()) return map;
  std::string key = map.contains(kTypeKey) ? kTypeKey : kOldTypeKey;
  auto scaling = make_rope_scaling(
      map.contains(key) && map[key].is_string() ? map[key].get<std::string>() : "default");
  Json known = scaling ? scaling->write() : Json::object();
  if (!known.contains(kOriginalMaxPositionEmbeddings)) return map;
  // Copied: a new key in an ordered map moves the others.
  Json original = map[kOriginalMaxPositionEmbeddings];
  if (original.is_null()) original = max_position_embeddings;
  map[kOriginalMaxPositionEmbeddings] = original;
  Json& factor = map["factor"];
  if (factor.is_null() && original.is_number() && original.get<double>() > 0) {
    factor = static_cast<double>(max_position_embeddings) / original.get<double>();
  }
  return map;
}

void describe_rope_scaling(const std::string& rope_type, FieldsSchema& schema) {
  std::vector<std::string> names{rope_type};
  if (rope_type == kLongRope) names.emplace_back(kOldLongRope);
  schema.choice(kTypeKey, names.front(), names, "the formula", {.otherwise = "`default`"});
  schema.choice(kOldTypeKey, names.front(), names,
                "the older name of `rope_type`; where both are given, `rope_type` counts",
                {.otherwise = "`default`"});
  if (rope_type != "default") schema.require_one_of({kTypeKey, kOldTypeKey});
  make_rope_scaling(rope_type)->fields(schema);
}

Json write_rope_scaling(const RopeScaling& scaling) {
  Json map = {{kTypeKey, scaling.rope_type()}};
  const Json keys = scaling.write();
  for (const auto& [key, value] : keys.items()) {
    if (!value.is_null()) map[key] = value;
  }
  return map;
}

Json RopeScaling::config_entry(const RopeGeometry& geometry) const {
  Json entry = {{"rope_theta", geometry.rope_theta}, {"rope_type", rope_type()}};
  entry.update(write());
  // transformers would take the extended max_position_embeddings for the original one.
  if (auto original = entry.find(kOriginalMaxPositionEmbeddings);
      original != entry.end() && original->is_null()) {
    *original = geometry.max_position_embeddings;
  }
  return entry;
}

int64_t rotated_dimensions(int64_t head_dim, double partial_rotary_factor) {
  return static_cast<int64_t>(static_cast<double>(head_dim) * partial_rotary_factor);
}

std::vector<double> unscaled_inv_freq(const RopeGeometry& geometry) {
  if (geometry.head_dim < 2 || geometry.head_dim % 2 != 0) {
    fail(ExitCode::kModel, "head_dim {}: RoPE turns pairs of dimensions, expected an even number",
         geometry.head_dim);
  }
  if (!(geometry.rope_theta > 1) || !std::isfinite(geometry.rope_theta)) {
    fail(ExitCode::kModel, "rope_theta {}: expected a number above 1", geometry.rope_theta);
  }
  if (geometry.max_position_embeddings < 1) {
    fail(ExitCode::kModel, "max_position_embeddings {}: expected at least 1",
         geometry.max_position_embeddings);
  }
  std::vector<double> inv_freq(static_cast<size_t>(geometry.head_dim / 2));
  for (size_t i = 0; i < inv_freq.size(); ++i) {
    // Rounded to float32 where transformers rounds: at position 16,384 the last bit is 2e-4 rad.
    float exponent = static_cast<float>(2 * i) / static_cast<float>(geometry.head_dim);
    float wavelength = static_cast<float>(std::pow(geometry.rope_theta, double{exponent}));
    inv_freq[i] = 1.0f / wavelength;
  }
  return inv_freq;
}

void factor_field(FieldsIo& io, double& factor) {
  const bool missing = io.reading() && !io.given("factor");
  if (missing) {
    return io.error("factor",
                    "is missing; expected the target length over the original one, such as 4");
  }
  io.number("factor", factor, {1.0, 1e6}, "the new length over the original one, from 1",
            {.required = true});
}

void original_length_field(FieldsIo& io, std::optional<int64_t>& original) {
  io.whole(kOriginalMaxPositionEmbeddings, original, {2, int64_t{1} << 40},
           "the length before scaling", {.otherwise = "the base's"});
}

void attention_factor_field(FieldsIo& io, std::optional<double>& factor) {
  io.number("attention_factor", factor, {0, 1000}, "what cos and sin are multiplied by",
            {.otherwise = "by the paper's formula", .written = factor.has_value()});
}

}  // namespace longspan
