#pragma once

#include <string>

namespace longspan {

/// ROUGE's F1 of a summary by longest common subsequences (Lin 2004, section 3.2),
/// 0 to 1, as two programs that benchmarks use have it. They differ.

/// The package `rouge` 1.0.1, of LongBench: sentences end at ".", words at blanks, in letters as
/// they are; the distinct words that stand in a common subsequence of any two sentences, by the
/// distinct words of both.
double rouge_l(const std::string& summary, const std::string& reference);

/// The package `rouge-score` 0.1.2 without stemming, of InfiniteBench: rougeLsum. Sentences are
/// lines, words runs of a to z and digits in letters of either case, each counted as often as it
/// stands in both.
double rouge_lsum(const std::string& summary, const std::string& reference);

}  // namespace longspan
