#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "src/core/json.h"
#include "src/core/keyed.h"

namespace longspan {

/// transformers' key of the length before scaling, in a scaling's map and in config.json itself.
inline constexpr const char* kOriginalMaxPositionEmbeddings = "original_max_position_embeddings";

/// What a formula needs to know of the model. max_position_embeddings is the length before scaling
/// ("dynamic" measures against it); a formula with original_max_position_embeddings prefers that.
struct RopeGeometry {
  int64_t head_dim = 64;  // rotated dimensions of a head; inv_freq has half as many entries
  double rope_theta = 10000.0;
  int64_t max_position_embeddings = 2048;
};

/// What a scaling makes of the frequencies of RoPE.
struct RopeFrequencies {
  std::vector<double> inv_freq;   // [head_dim / 2], radians a token
  double attention_factor = 1.0;  // cos and sin are multiplied by it
};

/// One way to stretch rotary position embeddings; one class a formula, with transformers' keys.
class RopeScaling : public Keyed {
 public:
  /// transformers' name: "default", "linear", "dynamic", "ntk", "yarn", "longrope", "llama3".
  virtual std::string_view rope_type() const = 0;
  /// Its own keys (all but rope_type and rope_theta); recipe and config.json share them.
  void fields(FieldsIo& io) override = 0;
  /// The frequencies for a sequence of `seq_len` tokens. Only "dynamic" and "longrope" depend on
  /// seq_len. A geometry that does not suit (say, too few short factors) throws Error(kModel).
  virtual RopeFrequencies frequencies(const RopeGeometry& geometry, int64_t seq_len) const = 0;
  /// How transformers' config.json states it for a model of this geometry: rope_theta, rope_type
  /// and the keys of write(). A formula that transformers does not know ("ntk") states an equal
  /// one.
  virtual Json config_entry(const RopeGeometry& geometry) const;
  /// How much longer the context becomes, 1 for "default": the target length over the original.
  virtual double factor() const { return 1.0; }
  /// The context before scaling; 0 when the scaling does not say and the config's
  /// max_position_embeddings holds.
  virtual int64_t original_max_position_embeddings() const { return 0; }
};

/// The dimensions of a head that RoPE turns: the whole part of head_dim x partial_rotary_factor.
int64_t rotated_dimensions(int64_t head_dim, double partial_rotary_factor);

/// The unscaled frequencies rope_theta^(-2i / head_dim), each a float32 as in transformers.
std::vector<double> unscaled_inv_freq(const RopeGeometry& geometry);

/// The rope_types there are, and an instance of one with its defaults (nullptr when unknown). "su"
/// is Phi-3's first name of "longrope".
std::vector<std::string> rope_types();
std::unique_ptr<RopeScaling> make_rope_scaling(std::string_view rope_type);

/// What transformers adds to the `rope_scaling` or `rope_parameters` of a config.json as it reads
/// them: original_max_position_embeddings where the formula has that key, and a missing factor as
/// max_position_embeddings over it. Anything but a map comes back as it is.
Json complete_rope_parameters(Json map, int64_t max_position_embeddings);

/// Reads {rope_type (or type), ...}: an absent or null map is "default". Errors, among them a key
/// that the formula does not know, go to the fields' diagnostics.
std::unique_ptr<RopeScaling> read_rope_scaling(Fields fields);

/// A map of config.json: transformers 5 puts rope_theta and partial_rotary_factor beside the keys
/// of the scaling.
struct RopeParameters {
  std::unique_ptr<RopeScaling> scaling;
  double rope_theta = 0, partial_rotary_factor = 0;
  std::vector<std::string> unknown;  // keys that the formula does not know
};

/// The same of a config.json. Where the map has no rope_theta or partial_rotary_factor, those given
/// hold.
RopeParameters read_rope_parameters(Fields fields, double rope_theta, double partial_rotary_factor);

/// The map that read_rope_scaling reads back as the same.
Json write_rope_scaling(const RopeScaling& scaling);

/// The keys of the map where its rope_type is this one.
void describe_rope_scaling(const std::string& rope_type, FieldsSchema& schema);

}  // namespace longspan
