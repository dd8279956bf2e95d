#pragma once

#include <string>
#include <vector>

namespace longspan {

/// How well each of `texts` answers `query`: the score of Okapi BM25 (Robertson and Zaragoza 2009,
/// "The Probabilistic Relevance Framework"), k1 1.2 and b 0.75, idf ln(1 + (N - n + 0.5) / (n +
/// 0.5)) as Lucene has it. Words are runs of letters and digits, in small letters where ASCII has
/// them; bytes beyond ASCII count as letters.
std::vector<double> bm25_scores(const std::vector<std::string>& texts, const std::string& query);

}  // namespace longspan
