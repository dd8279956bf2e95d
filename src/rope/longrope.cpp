#include <cmath>
#include <optional>

#include "src/rope/formulas.h"

namespace longspan {
namespace {

/// LongRoPE, Ding et al. 2024, arXiv 2402.13753: each frequency is divided by a factor of its own,
/// found by search; sequences up to the original length use another list than longer ones.
class LongRope : public RopeScaling {
 public:
  std::string_view rope_type() const override { return "longrope"; }

  void fields(FieldsIo& io) override {
    divisors_field(io, "short_factor", short_factor_,
                   "a divisor for each frequency, for sequences up to the original length");
    divisors_field(io, "long_factor", long_factor_, "the same for longer sequences");
    factor_field(io, factor_);
    original_length_field(io, original_);
    attention_factor_field(io, attention_factor_);
  }

  double factor() const override { return factor_; }
  int64_t original_max_position_embeddings() const override { return original_.value_or(0); }

  RopeFrequencies frequencies(const RopeGeometry& geometry, int64_t seq_len) const override {
    int64_t original = original_.value_or(geometry.max_position_embeddings);
    const auto& divisors = seq_len > original ? long_factor_ : short_factor_;
    RopeFrequencies result{unscaled_inv_freq(geometry)};
    if (divisors.size() != result.inv_freq.size()) {
      fail(ExitCode::kModel,
           "longrope: {} has {} numbers, {} rotated dimensions need {}; give factors that were "
           "searched for this model (longspan longrope-search)",
           seq_len > original ? "long_factor" : "short_factor", divisors.size(), geometry.head_dim,
           result.inv_freq.size());
    }
    for (size_t i = 0; i < divisors.size(); ++i) result.inv_freq[i] /= divisors[i];

    double attention_factor =
        factor_ <= 1 ? 1.0
                     : std::sqrt(1 + std::log(factor_) / std::log(static_cast<double>(original)));
    result.attention_factor = attention_factor_.value_or(attention_factor);
    return result;
  }

 private:
  static void divisors_field(FieldsIo& io, std::string_view key, std::vector<double>& divisors,
                             std::string_view meaning) {
    io.put(key, divisors,
           {{"type", "array"}, {"items", {{"type", "number"}, {"exclusiveMinimum", 0}}}}, meaning,
           {.required = true});
    Fields* fields = io.reading();
    if (!fields) return;
    if (!fields->has(key)) {
      return fields->error(key,
                           "is missing; expected a divisor for each pair of dimensions, as "
                           "longspan longrope-search finds them");
    }
    fields->required(key, divisors);
    for (double divisor : divisors) {
      if (divisor > 0) continue;
      return fields->error(key, fmt::format("{} is not above 0; expected divisors of frequencies, "
                                            "such as 1 and above",
                                            divisor));
    }
  }

  std::vector<double> short_factor_, long_factor_;  // [head_dim / 2]
  double factor_ = 1.0;
  std::optional<int64_t> original_;
  std::optional<double> attention_factor_;
};

}  // namespace

std::unique_ptr<RopeScaling> make_longrope_rope() { return std::make_unique<LongRope>(); }

}  // namespace longspan
