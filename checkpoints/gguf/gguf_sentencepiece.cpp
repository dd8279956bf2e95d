#include "checkpoints/gguf/gguf_sentencepiece.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <tuple>

namespace longspan {

namespace {

constexpr const char* kBlank = "\u2581";
constexpr size_t kLongestToken = 1024;  // bytes: each cut of it is looked up

bool continues(char byte) { return (static_cast<uint8_t>(byte) & 0xc0) == 0x80; }

/// Calls visit(left, right) for each cut of `token` between two code points.
template <class Visit>
void visit_cuts(std::string_view token, Visit&& visit) {
  for (size_t at = 1; at < token.size(); ++at) {
    if (!continues(token[at])) visit(token.substr(0, at), token.substr(at));
  }
}

int64_t code_points(std::string_view text) {
  return std::count_if(text.begin(), text.end(), [](char byte) { return !continues(byte); });
}

/// Whether `merge` joins shorter parts than `next`.
bool falls_short_of(const std::pair<std::string, std::string>& merge,
                    const std::pair<std::string, std::string>& next) {
  return std::pair(code_points(merge.first), code_points(merge.second)) <
         std::pair(code_points(next.first), code_points(next.second));
}

}  // namespace

std::vector<std::pair<std::string, std::string>> sentencepiece_merges(
    const std::vector<std::string>& tokens, const std::vector<float>& scores,
    const std::vector<GgufTokenType>& types, const std::string& place) {
  std::unordered_map<std::string_view, size_t> ids;
  for (size_t id = 0; id < tokens.size(); ++id) {
    if (types[id] == GgufTokenType::kNormal) ids.emplace(tokens[id], id);
  }
  struct Merge {
    size_t left, right;
    float score;
    int64_t left_length, right_length;
  };
  std::vector<Merge> merges;
  for (size_t id = 0; id < tokens.size(); ++id) {
    if (types[id] != GgufTokenType::kNormal) continue;
    if (tokens[id].size() > kLongestToken || !std::isfinite(scores[id])) {
      fail(ExitCode::kModel,
           "{}: token {} has {} bytes and the score {}; expected at most {} and a "
           "finite score",
           place, id, tokens[id].size(), scores[id], kLongestToken);
    }
    size_t begin = merges.size();
    visit_cuts(tokens[id], [&](std::string_view left, std::string_view right) {
      auto first = ids.find(left), second = ids.find(right);
      if (first == ids.end() || second == ids.end()) return;
      merges.push_back(
          {first->second, second->second, scores[id], code_points(left), code_points(right)});
    });
    std::sort(merges.begin() + static_cast<std::ptrdiff_t>(begin), merges.end(),
              [](const Merge& a, const Merge& b) {
                return std::tie(a.left, a.right) < std::tie(b.left, b.right);
              });
  }
  std::stable_sort(merges.begin(), merges.end(), [](const Merge& a, const Merge& b) {
    return std::tie(a.score, a.left_length, a.right_length) >
           std::tie(b.score, b.left_length, b.right_length);
  });
  std::vector<std::pair<std::string, std::string>> result;
  result.reserve(merges.size());
  for (const auto& merge : merges) result.emplace_back(tokens[merge.left], tokens[merge.right]);
  return result;
}

std::vector<float> sentencepiece_scores(
    const std::unordered_map<std::string, size_t>& vocabulary, size_t size,
    const std::vector<std::pair<std::string, std::string>>& merges, const std::string& place) {
  // Tokens that no merge makes, single characters, are never chosen by their score.
  std::vector<float> scores(size, 0);
  std::vector<size_t> ways(size, 0), last(size, 0), made;
  auto refuse = [&](const std::string& token) {
    fail(ExitCode::kModel,
         "{}: the merges that make '{}' are not those of a SentencePiece model, and llama.cpp has "
         "no other byte-fallback BPE",
         place, token);
  };
  for (const auto& [left, right] : merges) {
    auto found = vocabulary.find(left + right);
    if (found == vocabulary.end()) refuse(left + right);
    ++ways[found->second];
    last[found->second] = made.size();
    made.push_back(found->second);
  }
  // Tokens of one score (LLaMA 2's runs of blanks) have merges that alternate, by falling lengths.
  float rank = 0;
  size_t group_end = 0;
  for (size_t i = 0; i < made.size(); ++i) {
    if (i > group_end) {
      ++rank;
    } else if (i > 0 && made[i] != made[i - 1] && falls_short_of(merges[i - 1], merges[i])) {
      refuse(merges[i].first + merges[i].second);
    }
    group_end = std::max(group_end, last[made[i]]);
    scores[made[i]] = -rank;
  }
  for (const auto& [token, id] : vocabulary) {
    if (ways[id] == 0) continue;
    size_t possible = 0;
    visit_cuts(token, [&](std::string_view left, std::string_view right) {
      possible += vocabulary.contains(std::string(left)) && vocabulary.contains(std::string(right));
    });
    if (possible != ways[id]) refuse(token);
  }
  return scores;
}

bool is_byte_token(std::string_view token) {
  auto hex = [&](size_t at) { return std::isxdigit(static_cast<unsigned char>(token[at])) != 0; };
  return token.size() == 6 && token.starts_with("<0x") && hex(3) && hex(4) && token[5] == '>';
}

Json sentencepiece_normalizer(bool space_prefix) {
  Json replace = {{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", kBlank}};
  if (!space_prefix) return replace;
  Json prepend = {{"type", "Prepend"}, {"prepend", kBlank}};
  return {{"type", "Sequence"}, {"normalizers", Json::array({prepend, replace})}};
}

Json sentencepiece_decoder(bool space_prefix) {
  Json steps = Json::array();
  steps.push_back({{"type", "Replace"}, {"pattern", {{"String", kBlank}}}, {"content", " "}});
  steps.push_back({{"type", "ByteFallback"}});
  steps.push_back({{"type", "Fuse"}});
  if (space_prefix) {
    steps.push_back({{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}});
  }
  return {{"type", "Sequence"}, {"decoders", steps}};
}

}  // namespace longspan
