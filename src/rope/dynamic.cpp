#include <algorithm>

#include "src/rope/formulas.h"

namespace longspan {
namespace {

/// Dynamic NTK (emozilla 2023): rope_theta grows with the sequence once it is longer than the
/// model's max_position_embeddings, which therefore must stay at its original value.
class DynamicRope : public RopeScaling {
 public:
  std::string_view rope_type() const override { return "dynamic"; }
  void fields(FieldsIo& io) override { factor_field(io, factor_); }
  double factor() const override { return factor_; }

  RopeFrequencies frequencies(const RopeGeometry& geometry, int64_t seq_len) const override {
    int64_t length = std::max(seq_len, geometry.max_position_embeddings);
    double stretch = factor_ * static_cast<double>(length) /
                         static_cast<double>(geometry.max_position_embeddings) -
                     (factor_ - 1);
    RopeGeometry stretched = geometry;
    stretched.rope_theta = ntk_rope_theta(geometry, stretch);
    return {unscaled_inv_freq(stretched)};
  }

 private:
  double factor_ = 1.0;
};

}  // namespace

std::unique_ptr<RopeScaling> make_dynamic_rope() { return std::make_unique<DynamicRope>(); }

}  // namespace longspan
