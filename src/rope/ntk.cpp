#include <cmath>

#include "src/rope/formulas.h"

namespace longspan {

double ntk_rope_theta(const RopeGeometry& geometry, double stretch) {
  if (geometry.head_dim <= 2) {
    fail(ExitCode::kModel,
         "head_dim {}: NTK scaling needs at least 4 rotated dimensions; choose "
         "rope_type linear",
         geometry.head_dim);
  }
  double d = static_cast<double>(geometry.head_dim);
  return geometry.rope_theta * std::pow(stretch, d / (d - 2));
}

namespace {

/// NTK-aware scaling (bloc97 2023) with a fixed factor: only rope_theta grows, so a model trained
/// with it is a "default" one of a larger rope_theta to any other program.
class NtkRope : public RopeScaling {
 public:
  std::string_view rope_type() const override { return "ntk"; }
  void fields(FieldsIo& io) override { factor_field(io, factor_); }
  double factor() const override { return factor_; }

  RopeFrequencies frequencies(const RopeGeometry& geometry, int64_t) const override {
    return {unscaled_inv_freq(stretched(geometry))};
  }

  Json config_entry(const RopeGeometry& geometry) const override {
    return make_default_rope()->config_entry(stretched(geometry));
  }

 private:
  RopeGeometry stretched(RopeGeometry geometry) const {
    geometry.rope_theta = ntk_rope_theta(geometry, factor_);
    return geometry;
  }

  double factor_ = 1.0;
};

}  // namespace

std::unique_ptr<RopeScaling> make_ntk_rope() { return std::make_unique<NtkRope>(); }

}  // namespace longspan
