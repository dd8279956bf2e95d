#include <algorithm>
#include <cmath>
#include <numbers>
#include <optional>

#include "src/rope/formulas.h"

namespace longspan {
namespace {

double mscale_of(double factor, double mscale = 1.0) {
  return factor <= 1 ? 1.0 : 0.1 * mscale * std::log(factor) + 1.0;
}

/// YaRN, Peng et al. 2023, arXiv 2309.00071: dimensions that turn more than beta_fast times within
/// the original length keep their frequency, those that turn less than beta_slow times are
/// interpolated, a linear ramp over the dimension index lies between; cos and sin grow by the
/// attention factor.
class YarnRope : public RopeScaling {
 public:
  std::string_view rope_type() const override { return "yarn"; }

  void fields(FieldsIo& io) override {
    factor_field(io, factor_);
    original_length_field(io, original_);
    attention_factor_field(io, attention_factor_);
    io.number("beta_fast", beta_fast_, {0, 1e6},
              "dimensions that turn more often within the original length keep their frequency");
    io.number("beta_slow", beta_slow_, {0, 1e6},
              "dimensions that turn less often are stretched in full");
    // transformers reads 0 as "not given".
    if (beta_fast_ == 0) beta_fast_ = 32;
    if (beta_slow_ == 0) beta_slow_ = 1;
    if (beta_fast_ < beta_slow_) {
      io.error("beta_fast", fmt::format("{} is below beta_slow {}; expected the larger of the two",
                                        beta_fast_, beta_slow_));
    }
    io.number("mscale", mscale_, {0, 1000},
              "with `mscale_all_dim` gives the attention factor, as in DeepSeek's models",
              {.otherwise = "none", .written = mscale_ > 0});
    io.number("mscale_all_dim", mscale_all_dim_, {0, 1000}, "see `mscale`",
              {.otherwise = "none", .written = mscale_all_dim_ > 0});
    io.flag("truncate", truncate_, "the bounds of the ramp are whole dimensions");
    io.ignored("finetuned", "read for the sake of the authors' own models; changes nothing");
  }

  double factor() const override { return factor_; }
  int64_t original_max_position_embeddings() const override { return original_.value_or(0); }

  RopeFrequencies frequencies(const RopeGeometry& geometry, int64_t) const override {
    int64_t original = original_.value_or(geometry.max_position_embeddings);
    RopeFrequencies result{unscaled_inv_freq(geometry)};

    // The dimension that turns `rotations` times within the original length.
    auto dimension = [&](double rotations) {
      return static_cast<double>(geometry.head_dim) *
             std::log(static_cast<double>(original) / (rotations * 2 * std::numbers::pi)) /
             (2 * std::log(geometry.rope_theta));
    };
    double low = dimension(beta_fast_), high = dimension(beta_slow_);
    if (truncate_) {
      low = std::floor(low);
      high = std::ceil(high);
    }
    low = std::max(low, 0.0);
    high = std::min(high, static_cast<double>(geometry.head_dim - 1));
    if (low == high) high += 0.001;

    for (size_t i = 0; i < result.inv_freq.size(); ++i) {
      double ramp = std::clamp((static_cast<double>(i) - low) / (high - low), 0.0, 1.0);
      result.inv_freq[i] *= ramp / factor_ + (1 - ramp);
    }
    result.attention_factor = attention_factor_.value_or(default_attention_factor());
    return result;
  }

 private:
  double default_attention_factor() const {
    if (mscale_ > 0 && mscale_all_dim_ > 0) {
      return mscale_of(factor_, mscale_) / mscale_of(factor_, mscale_all_dim_);
    }
    return mscale_of(factor_);
  }

  double factor_ = 1.0;
  std::optional<int64_t> original_;
  std::optional<double> attention_factor_;
  double beta_fast_ = 32, beta_slow_ = 1;
  double mscale_ = 0, mscale_all_dim_ = 0;  // DeepSeek's; both or none
  bool truncate_ = true;
};

}  // namespace

std::unique_ptr<RopeScaling> make_yarn_rope() { return std::make_unique<YarnRope>(); }

}  // namespace longspan
