#include "src/rope/rope_table.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace longspan {

namespace {

constexpr double kTolerance = 1e-6;  // of frequencies that are float32

RopeTableRow::Effect effect_of(double divisor, double factor) {
  if (std::abs(divisor - 1) <= kTolerance) return RopeTableRow::Effect::kKept;
  bool interpolated = std::abs(divisor / factor - 1) <= kTolerance;
  return interpolated ? RopeTableRow::Effect::kInterpolated : RopeTableRow::Effect::kBlended;
}

}  // namespace

std::string_view effect_name(RopeTableRow::Effect effect) {
  switch (effect) {
    case RopeTableRow::Effect::kKept:
      return "kept";
    case RopeTableRow::Effect::kBlended:
      return "blended";
    case RopeTableRow::Effect::kInterpolated:
      return "interpolated";
  }
  return "";
}

int64_t RopeTable::count(RopeTableRow::Effect effect) const {
  return std::ranges::count(rows, effect, &RopeTableRow::effect);
}

int64_t RopeTable::unseen_angles() const {
  return std::ranges::count_if(rows, &RopeTableRow::unseen_angles);
}

RopeTable rope_table(const RopeScaling& scaling, const RopeGeometry& geometry, int64_t length) {
  std::vector<double> before = unscaled_inv_freq(geometry);
  RopeFrequencies after = scaling.frequencies(geometry, length);
  RopeTable table{.original_length = geometry.max_position_embeddings,
                  .length = length,
                  .attention_factor = after.attention_factor,
                  .rows = {}};
  for (size_t i = 0; i < before.size(); ++i) {
    RopeTableRow row{.pair = static_cast<int64_t>(i),
                     .wavelength_before = 2 * std::numbers::pi / before[i],
                     .wavelength = 2 * std::numbers::pi / after.inv_freq[i]};
    row.turns_before = static_cast<double>(table.original_length) / row.wavelength_before;
    row.turns = static_cast<double>(length) / row.wavelength;
    row.effect = effect_of(row.divisor(), scaling.factor());
    table.rows.push_back(row);
  }
  return table;
}

}  // namespace longspan
