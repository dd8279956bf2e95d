#include "trainer/eval/statistics.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace longspan {

double mean(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

std::optional<double> standard_error(const std::vector<double>& values) {
  if (values.size() < 2) return std::nullopt;
  double centre = mean(values), squares = 0;
  for (double value : values) squares += (value - centre) * (value - centre);
  auto n = static_cast<double>(values.size());
  return std::sqrt(squares / (n - 1) / n);
}

Interval wilson_interval(int64_t correct, int64_t trials) {
  if (trials == 0) return {0, 1};
  constexpr double z = 1.959963984540054;  // 97.5 % point of the normal distribution
  auto n = static_cast<double>(trials);
  double p = static_cast<double>(correct) / n;
  double centre = (p + z * z / (2 * n)) / (1 + z * z / n);
  double half = z / (1 + z * z / n) * std::sqrt(p * (1 - p) / n + z * z / (4 * n * n));
  return {std::max(0.0, centre - half), std::min(1.0, centre + half)};
}

PairedDifference paired_difference(const std::vector<double>& a, const std::vector<double>& b) {
  std::vector<double> differences;
  for (size_t i = 0; i < a.size(); ++i) differences.push_back(a[i] - b[i]);
  return {mean(differences), standard_error(differences)};
}

}  // namespace longspan
