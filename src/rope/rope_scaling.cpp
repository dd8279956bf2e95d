#include "src/rope/rope_scaling.h"

#include <cmath>

#include "src/core/text.h"
#include "src/rope/formulas.h"

namespace longspan {

namespace {

struct Formula {
  std::string_view rope_type;
  std::unique_ptr<RopeScaling> (*make)();
};

constexpr Formula kFormulas[] = {
    {"default", make_default_rope}, {"linear", make_linear_rope}, {"dynamic", make_dynamic_rope},
    {"ntk", make_ntk_rope},         {"yarn", make_yarn_rope},     {"longrope", make_longrope_rope},
    {"llama3", make_llama3_rope},
};

}  // namespace

std::vector<std::string> rope_types() {
  std::vector<std::string> names;
  for (const auto& formula : kFormulas) names.emplace_back(formula.rope_type);
  return names;
}

std::unique_ptr<RopeScaling> make_rope_scaling(std::string_view rope_type) {
  if (rope_type == "su") rope_type = "longrope";
  for (const auto& formula : kFormulas) {
    if (formula.rope_type == rope_type) return formula.make();
  }
  return nullptr;
}

std::unique_ptr<RopeScaling> read_rope_scaling(Fields fields, double* rope_theta,
                                               double* partial_rotary_factor,
                                               std::vector<std::string>* unknown) {
  std::string rope_type = "default";
  fields.optional("type", rope_type);  // as transformers spelt it before 4.43
  fields.optional("rope_type", rope_type);
  if (rope_theta) fields.in_range("rope_theta", *rope_theta, 1.0, 1e15);
  if (partial_rotary_factor) {
    fields.in_range("partial_rotary_factor", *partial_rotary_factor, 0.0, 1.0);
  }
  auto scaling = make_rope_scaling(rope_type);
  if (!scaling) {
    auto known = rope_types();
    std::string meant = nearest(rope_type, known);
    fields.error(fields.has("rope_type") ? "rope_type" : "type",
                 fmt::format("'{}' is not known{}; expected one of {}", rope_type,
                             meant.empty() ? "" : fmt::format("; did you mean '{}'?", meant),
                             join(known, ", ")));
    return make_default_rope();
  }
  scaling->read(fields);
  if (unknown) {
    *unknown = fields.unknown_keys();
  } else {
    fields.finish();
  }
  return scaling;
}

Json complete_rope_parameters(Json map, int64_t max_position_embeddings) {
  if (!map.is_object()) return map;
  std::string key = map.contains("rope_type") ? "rope_type" : "type";
  auto scaling = make_rope_scaling(
      map.contains(key) && map[key].is_string() ? map[key].get<std::string>() : "default");
  Json known = scaling ? scaling->write() : Json::object();
  if (!known.contains("original_max_position_embeddings")) return map;
  // Copied: a new key in an ordered map moves the others.
  Json original = map["original_max_position_embeddings"];
  if (original.is_null()) original = max_position_embeddings;
  map["original_max_position_embeddings"] = original;
  Json& factor = map["factor"];
  if (factor.is_null() && original.is_number() && original.get<double>() > 0) {
    factor = static_cast<double>(max_position_embeddings) / original.get<double>();
  }
  return map;
}

Json RopeScaling::config_entry(const RopeGeometry& geometry) const {
  Json entry = {{"rope_theta", geometry.rope_theta}, {"rope_type", rope_type()}};
  entry.update(write());
  // transformers would take the extended max_position_embeddings for the original one.
  if (auto original = entry.find("original_max_position_embeddings");
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

void read_factor(Fields& fields, double& factor) {
  if (!fields.has("factor")) {
    return fields.error("factor",
                        "is missing; expected the target length over the original one, such as 4");
  }
  fields.in_range("factor", factor, 1.0, 1e6);
}

void read_original_length(Fields& fields, int64_t& original) {
  if (fields.has("original_max_position_embeddings")) {
    fields.in_range("original_max_position_embeddings", original, 2, int64_t{1} << 40);
  }
}

}  // namespace longspan
