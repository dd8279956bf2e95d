#include "src/rope/formulas.h"

namespace longspan {
namespace {

/// Su et al. 2021, arXiv 2104.09864: no scaling.
class DefaultRope : public RopeScaling {
 public:
  std::string_view rope_type() const override { return "default"; }
  void fields(FieldsIo&) override {}
  RopeFrequencies frequencies(const RopeGeometry& geometry, int64_t) const override {
    return {unscaled_inv_freq(geometry)};
  }
};

}  // namespace

std::unique_ptr<RopeScaling> make_default_rope() { return std::make_unique<DefaultRope>(); }

}  // namespace longspan
