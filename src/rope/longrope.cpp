#include <cmath>
#include <optional>

#include "src/rope/formulas.h"

namespace longspan {
namespace {

/// LongRoPE, Ding et al. 2024, arXiv 2402.13753: each frequency is divided by a factor of its own,
/// found by search; sequences up to the original length use another list than longer ones. Phi's
/// own code (modeling_phimoe of Phi-3.5-MoE) takes short_mscale and long_mscale in the same way in
/// place of the attention factor, where a config has them.
class LongRope : public RopeScaling {
 public:
  std::string_view rope_type() const override { return "longrope"; }

  void fields(FieldsIo& io) override {
    divisors_field(io, "short_factor", short_factor_,
                   "a divisor for each frequency, for sequences up to the original length");
    divisors_field(io, "long_factor", long_factor_, "the same for longer sequences");
    factor_field(io, factor_);
    original_length_field(io, original_);
    // Equal ones are written as attention_factor, which transformers reads too.
    const bool alike = short_mscale_ && short_mscale_ == long_mscale_;
    std::optional<double> attention_factor =
        io.writing() && alike ? short_mscale_ : attention_factor_;
    attention_factor_field(io, attention_factor);
    if (!io.writing()) attention_factor_ = attention_factor;
    const FieldTraits traits{.otherwise = "none", .written = short_mscale_ && !alike};
    io.number("short_mscale", short_mscale_, {0, 1000},
              "the attention factor up to the original length, as in Phi's own code", traits);
    io.number("long_mscale", long_mscale_, {0, 1000}, "the same for longer sequences", traits);
    if (short_mscale_.has_value() != long_mscale_.has_value()) {
      io.error(short_mscale_ ? "long_mscale" : "short_mscale",
               "is missing; Phi has it for both lists or none");
    }
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
    if (short_mscale_)
      result.attention_factor = *(seq_len > original ? long_mscale_ : short_mscale_);
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
  std::optional<double> attention_factor_, short_mscale_, long_mscale_;
};

}  // namespace

std::unique_ptr<RopeScaling> make_longrope_rope() { return std::make_unique<LongRope>(); }

}  // namespace longspan
