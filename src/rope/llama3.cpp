#include <numbers>
#include <optional>

#include "src/rope/formulas.h"

namespace longspan {
namespace {

/// Llama 3.1's scaling: wavelengths over original / low_freq_factor are stretched by `factor`,
/// those under original / high_freq_factor stay, those between are blended.
class Llama3Rope : public RopeScaling {
 public:
  std::string_view rope_type() const override { return "llama3"; }

  void fields(FieldsIo& io) override {
    factor_field(io, factor_);
    io.number("low_freq_factor", low_freq_factor_, {1e-6, 1e6},
              "wavelengths above original / low_freq_factor are stretched in full");
    io.number("high_freq_factor", high_freq_factor_, {1e-6, 1e6},
              "wavelengths below original / high_freq_factor stay");
    if (high_freq_factor_ <= low_freq_factor_) {
      io.error("high_freq_factor",
               fmt::format("{} is not above low_freq_factor {}; expected the larger",
                           high_freq_factor_, low_freq_factor_));
    }
    original_length_field(io, original_);
  }

  double factor() const override { return factor_; }
  int64_t original_max_position_embeddings() const override { return original_.value_or(0); }

  RopeFrequencies frequencies(const RopeGeometry& geometry, int64_t) const override {
    auto original = static_cast<double>(original_.value_or(geometry.max_position_embeddings));
    RopeFrequencies result{unscaled_inv_freq(geometry)};
    for (double& inv_freq : result.inv_freq) {
      double turns = original * inv_freq / (2 * std::numbers::pi);  // within the original length
      if (turns < low_freq_factor_) {
        inv_freq /= factor_;
      } else if (turns <= high_freq_factor_) {
        double smooth = (turns - low_freq_factor_) / (high_freq_factor_ - low_freq_factor_);
        inv_freq *= (1 - smooth) / factor_ + smooth;
      }
    }
    return result;
  }

 private:
  double factor_ = 1, low_freq_factor_ = 1, high_freq_factor_ = 4;
  std::optional<int64_t> original_;
};

}  // namespace

std::unique_ptr<RopeScaling> make_llama3_rope() { return std::make_unique<Llama3Rope>(); }

}  // namespace longspan
