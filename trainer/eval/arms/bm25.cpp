#include "trainer/eval/arms/bm25.h"

#include <cmath>
#include <map>
#include <set>
#include <unordered_map>

namespace longspan {

namespace {

bool is_word_byte(unsigned char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c >= 0x80;
}

std::vector<std::string> terms_in(const std::string& text) {
  std::vector<std::string> words;
  bool inside = false;
  for (char c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    const bool word = is_word_byte(static_cast<unsigned char>(c));
    if (word && !inside) words.emplace_back();
    if (word) words.back() += c;
    inside = word;
  }
  return words;
}

}  // namespace

std::vector<double> bm25_scores(const std::vector<std::string>& texts, const std::string& query) {
  constexpr double k1 = 1.2, b = 0.75;
  const std::vector<std::string> asked = terms_in(query);
  const std::set<std::string> terms(asked.begin(), asked.end());
  std::vector<std::unordered_map<std::string, double>> counts(texts.size());
  std::vector<double> lengths;
  std::map<std::string, double> texts_with;
  double all_words = 0;
  for (size_t i = 0; i < texts.size(); ++i) {
    const auto words = terms_in(texts[i]);
    for (const auto& word : words) {
      if (terms.contains(word)) counts[i][word] += 1;
    }
    for (const auto& [word, count] : counts[i]) texts_with[word] += 1;
    lengths.push_back(static_cast<double>(words.size()));
    all_words += lengths.back();
  }
  const auto number = static_cast<double>(texts.size());
  std::vector<double> scores(texts.size(), 0);
  for (size_t i = 0; i < texts.size(); ++i) {
    for (const auto& term : terms) {
      const auto found = counts[i].find(term);
      if (found == counts[i].end()) continue;
      const double idf = std::log(1 + (number - texts_with[term] + 0.5) / (texts_with[term] + 0.5));
      const double tf = found->second;
      scores[i] += idf * tf * (k1 + 1) / (tf + k1 * (1 - b + b * lengths[i] * number / all_words));
    }
  }
  return scores;
}

}  // namespace longspan
