#include "src/rope/formulas.h"

namespace longspan {
namespace {

/// Position interpolation, Chen et al. 2023, arXiv 2306.15595: every frequency over `factor`.
class LinearRope : public RopeScaling {
 public:
  std::string_view rope_type() const override { return "linear"; }
  void fields(FieldsIo& io) override { factor_field(io, factor_); }
  double factor() const override { return factor_; }

  RopeFrequencies frequencies(const RopeGeometry& geometry, int64_t) const override {
    RopeFrequencies result{unscaled_inv_freq(geometry)};
    for (double& inv_freq : result.inv_freq) inv_freq /= factor_;
    return result;
  }

 private:
  double factor_ = 1.0;
};

}  // namespace

std::unique_ptr<RopeScaling> make_linear_rope() { return std::make_unique<LinearRope>(); }

}  // namespace longspan
