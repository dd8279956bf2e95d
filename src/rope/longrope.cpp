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

  void read(Fields& fields) override {
    read_factors(fields, "short_factor", short_factor_);
    read_factors(fields, "long_factor", long_factor_);
    read_original_length(fields, original_);
    read_factor(fields, factor_);
    if (fields.has("attention_factor")) {
      fields.in_range("attention_factor", attention_factor_.emplace(1.0), 0, 1000);
    }
  }

  Json write() const override {
    Json entry = {{"short_factor", short_factor_},
                  {"long_factor", long_factor_},
                  {"factor", factor_},
                  {"original_max_position_embeddings", nullptr}};
    if (original_ > 0) entry["original_max_position_embeddings"] = original_;
    if (attention_factor_) entry["attention_factor"] = *attention_factor_;
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

  std::vector<double> short_factor_, long_factor_;  // [head_dim / 2]
  double factor_ = 1.0;
  int64_t original_ = 0;
  std::optional<double> attention_factor_;
};

}  // namespace

std::unique_ptr<RopeScaling> make_longrope_rope() { return std::make_unique<LongRope>(); }

}  // namespace longspan
