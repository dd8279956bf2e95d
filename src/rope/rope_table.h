#pragma once

#include <cstdint>
#include <vector>

#include "src/rope/rope_scaling.h"

namespace longspan {

/// What a scaling does to one pair of dimensions.
struct RopeTableRow {
  enum class Effect { kKept, kBlended, kInterpolated };  // by 1, by another divisor, by factor()

  int64_t pair = 0;
  double wavelength_before = 0, wavelength = 0;  // tokens a turn, unscaled and scaled
  double turns_before = 0, turns = 0;  // unscaled in the original length, scaled in the new one
  Effect effect = Effect::kKept;

  double divisor() const { return wavelength / wavelength_before; }  // of the frequency
  /// Whether the new length takes the pair to angles that the original one never did.
  bool unseen_angles() const { return turns_before < 1 && turns > turns_before * (1 + 1e-6); }
};

/// The word for it in a table of `longspan inspect`.
std::string_view effect_name(RopeTableRow::Effect effect);

/// What a scaling does to each pair of dimensions at a target length.
struct RopeTable {
  int64_t original_length = 0, length = 0;  // tokens
  double attention_factor = 1.0;
  std::vector<RopeTableRow> rows;  // one a pair, by rising wavelength

  int64_t count(RopeTableRow::Effect effect) const;
  int64_t unseen_angles() const;
};

/// The frequencies for sequences of `length` tokens beside the unscaled ones. The geometry's
/// max_position_embeddings is the original length.
RopeTable rope_table(const RopeScaling& scaling, const RopeGeometry& geometry, int64_t length);

}  // namespace longspan
