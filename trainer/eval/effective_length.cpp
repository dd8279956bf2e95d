#include "trainer/eval/effective_length.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "trainer/eval/statistics.h"
#include "trainer/figures/table.h"

namespace longspan {

namespace {

constexpr int kSamples = 2000;

/// The index of the longest length that passes with all before it; -1 for none.
int64_t last_passing(const std::vector<double>& scores) {
  constexpr double kRounding = 1e-9;  // 17 of 29 are 85 % of 20 of 29
  const double least = kEffectiveShare * scores[0] - kRounding;
  int64_t last = -1;
  while (last + 1 < std::ssize(scores) && scores[last + 1] >= least) {
    ++last;
  }
  return last;
}

/// What the rate of right answers may be: a draw from its posterior under Jeffreys' prior, the beta
/// distribution of right + 1/2 and wrong + 1/2. Unlike the questions drawn again (bootstrap) it
/// stays unsure of one right answer of one.
double sampled_rate(const std::vector<double>& scores, std::mt19937& generator) {
  const double n = static_cast<double>(scores.size());
  const double right = n * mean(scores);
  const double a = std::gamma_distribution(right + 0.5)(generator);
  const double b = std::gamma_distribution(n - right + 0.5)(generator);
  return a / (a + b);
}

}  // namespace

LengthEstimate effective_length(const std::vector<ScoredLength>& lengths) {
  std::vector<double> measured;
  for (const auto& one : lengths) measured.push_back(mean(one.scores));
  if (measured[0] == 0) return {};

  std::mt19937 generator;  // always seeded alike: a report is the same each time
  std::vector<int64_t> sampled;
  for (int i = 0; i < kSamples; ++i) {
    std::vector<double> scores;
    for (const auto& one : lengths) scores.push_back(sampled_rate(one.scores, generator));
    sampled.push_back(last_passing(scores));
  }
  std::sort(sampled.begin(), sampled.end());

  const auto at = [&](int64_t index) {
    return index < 0 ? std::nullopt : std::optional<int64_t>(lengths[index].length);
  };
  return {.length = at(last_passing(measured)),
          .low = at(sampled[kSamples * 25 / 1000]),
          .high = at(sampled[kSamples * 975 / 1000])};
}

LengthEstimate loss_falls_until(const std::vector<LossAtLength>& lengths) {
  const auto best = std::min_element(
      lengths.begin(), lengths.end(),
      [](const auto& a, const auto& b) { return mean(a.document_nll) < mean(b.document_nll); });
  LengthEstimate estimate{.length = best->length};
  if (best->document_nll.size() < 2) return estimate;
  for (const auto& one : lengths) {
    if (told_apart(one.document_nll, best->document_nll)) continue;
    if (!estimate.low) estimate.low = one.length;
    estimate.high = one.length;
  }
  return estimate;
}

std::string length_estimate_label(const LengthEstimate& estimate) {
  const auto label = [](std::optional<int64_t> length) {
    return length ? length_label(*length) : std::string("none");
  };
  if (!estimate.low && !estimate.high) return label(estimate.length);
  return fmt::format("{} [{}, {}]", label(estimate.length), label(estimate.low),
                     label(estimate.high));
}

}  // namespace longspan
