#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace longspan {

double mean(const std::vector<double>& values);

/// 2 common / (a + b): the harmonic mean of precision common / a and recall common / b; 0 where
/// nothing is common.
double f1_score(int64_t common, size_t a, size_t b);

/// Standard error of the mean: s / sqrt(n) with the sample standard deviation s. None for fewer
/// than two values.
std::optional<double> standard_error(const std::vector<double>& values);

struct Interval {
  double low = 0, high = 1;

  bool meets(const Interval& other) const { return !(high < other.low || other.high < low); }
};

/// The 95 % score interval of a proportion (Wilson 1927); [0, 1] for no trials. `correct` may be a
/// sum of scores from 0 to 1, whose interval it is then at least.
Interval wilson_interval(double correct, int64_t trials);

/// Values whose mean is the mean of `values` by `weights`, and whose standard error is that mean's
/// (of a ratio, linearised): m + w_i (x_i - m) / mean(w). With no weights `values` themselves.
std::vector<double> weighed(const std::vector<double>& values, const std::vector<double>& weights);

/// The 95 % interval of a mean by Student's t with n - 1 degrees of freedom. None for fewer than
/// two values.
std::optional<Interval> mean_interval(const std::vector<double>& values);

/// Whether their means differ at 95 %: as many values are those of the same items, and 0 must be
/// outside the interval of their differences; else the intervals of both have no value in common.
/// Never by fewer than two values of either.
bool told_apart(const std::vector<double>& a, const std::vector<double>& b);

/// Whether one is better in more of the same questions than chance allows, by the exact two-sided
/// sign test at 5 %, which is McNemar's for scores of 0 and 1. Ties do not count; six questions
/// that one alone answers are the fewest that tell. `a` and `b` have one size.
bool scores_told_apart(const std::vector<double>& a, const std::vector<double>& b);

/// The mean of a[i] - b[i], the same items under two conditions, and its standard error.
struct PairedDifference {
  double mean = 0;
  std::optional<double> standard_error;
};
PairedDifference paired_difference(const std::vector<double>& a, const std::vector<double>& b);

}  // namespace longspan
