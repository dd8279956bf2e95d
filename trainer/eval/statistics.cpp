#include "trainer/eval/statistics.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace longspan {

namespace {

/// The 97.5 % point of Student's t distribution: exact up to 2 degrees of freedom, then the
/// expansion of Cornish and Fisher (Abramowitz and Stegun 26.7.5), within 0.2 % of it at 3 and
/// nearer beyond.
double students_t(double degrees) {
  if (degrees == 1) return 12.706204736174698;
  if (degrees == 2) return 4.302652729696142;
  constexpr double z = 1.959963984540054;
  const double z3 = std::pow(z, 3), z5 = std::pow(z, 5), z7 = std::pow(z, 7);
  const double d = degrees;
  return z + (z3 + z) / (4 * d) + (5 * z5 + 16 * z3 + 3 * z) / (96 * d * d) +
         (3 * z7 + 19 * z5 + 17 * z3 - 15 * z) / (384 * d * d * d) +
         (79 * std::pow(z, 9) + 776 * z7 + 1482 * z5 - 1920 * z3 - 945 * z) /
             (92160 * d * d * d * d);
}

std::vector<double> differences(const std::vector<double>& a, const std::vector<double>& b) {
  std::vector<double> found;
  for (size_t i = 0; i < a.size(); ++i) found.push_back(a[i] - b[i]);
  return found;
}

}  // namespace

double mean(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

double f1_score(int64_t common, size_t a, size_t b) {
  return common == 0 ? 0.0 : 2.0 * static_cast<double>(common) / static_cast<double>(a + b);
}

std::optional<double> standard_error(const std::vector<double>& values) {
  if (values.size() < 2) return std::nullopt;
  double centre = mean(values), squares = 0;
  for (double value : values) squares += (value - centre) * (value - centre);
  auto n = static_cast<double>(values.size());
  return std::sqrt(squares / (n - 1) / n);
}

Interval wilson_interval(double correct, int64_t trials) {
  if (trials == 0) return {0, 1};
  constexpr double z = 1.959963984540054;  // 97.5 % point of the normal distribution
  auto n = static_cast<double>(trials);
  double p = correct / n;
  double centre = (p + z * z / (2 * n)) / (1 + z * z / n);
  double half = z / (1 + z * z / n) * std::sqrt(p * (1 - p) / n + z * z / (4 * n * n));
  return {std::max(0.0, centre - half), std::min(1.0, centre + half)};
}

std::vector<double> weighed(const std::vector<double>& values, const std::vector<double>& weights) {
  if (weights.empty()) return values;
  const double weight = mean(weights);
  const double centre = std::inner_product(values.begin(), values.end(), weights.begin(), 0.0) /
                        (weight * static_cast<double>(values.size()));
  std::vector<double> found;
  for (size_t i = 0; i < values.size(); ++i) {
    found.push_back(centre + weights[i] * (values[i] - centre) / weight);
  }
  return found;
}

std::optional<Interval> mean_interval(const std::vector<double>& values) {
  const std::optional<double> error = standard_error(values);
  if (!error) return std::nullopt;
  const double half = students_t(static_cast<double>(values.size()) - 1) * *error;
  return Interval{mean(values) - half, mean(values) + half};
}

bool told_apart(const std::vector<double>& a, const std::vector<double>& b) {
  if (a.size() < 2 || b.size() < 2) return false;
  if (a.size() == b.size()) {
    const Interval interval = *mean_interval(differences(a, b));
    return interval.low > 0 || interval.high < 0;
  }
  return !mean_interval(a)->meets(*mean_interval(b));
}

bool scores_told_apart(const std::vector<double>& a, const std::vector<double>& b) {
  int64_t better = 0, worse = 0;
  for (const double difference : differences(a, b)) {
    better += difference > 0 ? 1 : 0;
    worse += difference < 0 ? 1 : 0;
  }
  const int64_t n = better + worse, fewer = std::min(better, worse);
  const double half_to_the_n = -static_cast<double>(n) * std::log(2);
  double tail = 0;  // of the binomial distribution with p = 1/2
  for (int64_t k = 0; k <= fewer; ++k) {
    const auto x = static_cast<double>(k), size = static_cast<double>(n);
    tail += std::exp(std::lgamma(size + 1) - std::lgamma(x + 1) - std::lgamma(size - x + 1) +
                     half_to_the_n);
  }
  return 2 * tail <= 0.05;
}

PairedDifference paired_difference(const std::vector<double>& a, const std::vector<double>& b) {
  const std::vector<double> found = differences(a, b);
  return {mean(found), standard_error(found)};
}

}  // namespace longspan
