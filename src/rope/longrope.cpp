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

  void read(Fields& fields) override {
    read_factors(fields, "short_factor", short_factor_);
    read_factors(fields, "long_factor", long_factor_);
    read_original_length(fields, original_);
    read_factor(fields, factor_);
    if (fields.has("attention_factor")) {
      fields.in_range("attention_factor", attention_factor_.emplace(1.0), 0, 1000);
    }
    if (fields.has("short_mscale") || fields.has("long_mscale")) {
      read_mscale(fields, "short_mscale", short_mscale_.emplace(1.0));
      read_mscale(fields, "long_mscale", long_mscale_.emplace(1.0));
    }
  }

  Json write() const override {
    Json entry = {{"short_factor", short_factor_},
                  {"long_factor", long_factor_},
                  {"factor", factor_},
                  {"original_max_position_embeddings", nullptr}};
    if (original_ > 0) entry["original_max_position_embeddings"] = original_;
    if (attention_factor_) entry["attention_factor"] = *attention_factor_;
    if (short_mscale_ && *short_mscale_ == *long_mscale_) {
      entry["attention_factor"] = *short_mscale_;  // so that transformers computes it too
    } else if (short_mscale_) {
      entry["short_mscale"] = *short_mscale_;
      entry["long_mscale"] = *long_mscale_;
    }
    return entry;
  }

  double factor() const override { return factor_; }
  int64_t original_max_position_embeddings() const override { return original_; }

  RopeFrequencies frequencies(const RopeGeometry& geometry, int64_t seq_len) const override {
    int64_t original = original_ > 0 ? original_ : geometry.max_position_embeddings;
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
  static void read_factors(Fields& fields, std::string_view key, std::vector<double>& factors) {
    if (!fields.has(key)) {
      return fields.error(key,
                          "is missing; expected a divisor for each pair of dimensions, as "
                          "longspan longrope-search finds them");
    }
    fields.required(key, factors);
    for (double factor : factors) {
      if (factor > 0) continue;
      return fields.error(key, fmt::format("{} is not above 0; expected divisors of frequencies, "
                                           "such as 1 and above",
                                           factor));
    }
  }

  static void read_mscale(Fields& fields, std::string_view key, double& mscale) {
    if (!fields.has(key)) return fields.error(key, "is missing; Phi has it for both lists or none");
    fields.in_range(key, mscale, 0, 1000);
  }

  std::vector<double> short_factor_, long_factor_;  // [head_dim / 2]
  double factor_ = 1.0;
  int64_t original_ = 0;
  std::optional<double> attention_factor_, short_mscale_, long_mscale_;
};

}  // namespace

std::unique_ptr<RopeScaling> make_longrope_rope() { return std::make_unique<LongRope>(); }

}  // namespace longspan
