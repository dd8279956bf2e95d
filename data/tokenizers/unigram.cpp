#include "data/tokenizers/unigram.h"

#include <algorithm>
#include <cmath>
#include <span>

#include "src/core/error.h"
#include "src/core/utf8.h"

namespace longspan {

namespace {

constexpr double kUnknownPenalty = 10;  // below the least score, as SentencePiece and tokenizers

}  // namespace

Unigram::Unigram(const std::vector<std::string>& pieces, std::vector<double> scores,
                 Options options)
    : scores_(std::move(scores)), options_(options), trie_(pieces) {
  unknown_score_ = *std::min_element(scores_.begin(), scores_.end()) - kUnknownPenalty;
  for (int byte = 0; byte < 256; ++byte) {
    byte_ids_[static_cast<size_t>(byte)] =
        options_.byte_fallback ? trie_.find(byte_token(byte)) : -1;
  }
}

/// By the place where each ends; steps lead there from the start of the text.
std::vector<Unigram::Step> Unigram::best_steps(std::string_view text) const {
  std::vector<Step> best(text.size() + 1);
  auto offer = [&](size_t begin, size_t length, int32_t id, double score) {
    Step& step = best[begin + length];
    score += best[begin].score;
    if (step.length == 0 || score > step.score) step = {score, id, static_cast<uint32_t>(length)};
  };
  for (size_t begin = 0; begin < text.size();) {
    size_t end = begin;
    next_code_point(text, end);
    const size_t character = end - begin;
    bool has_character = false;
    trie_.for_each_prefix(text.substr(begin), [&](size_t length, int32_t id) {
      offer(begin, length, id, scores_[static_cast<size_t>(id)]);
      has_character |= length == character;
    });
    if (!has_character) offer(begin, character, options_.unknown_id.value_or(-1), unknown_score_);
    begin = end;
  }
  return best;
}

void Unigram::encode(std::string_view piece, SubwordScratch& scratch, std::vector<int32_t>& ids,
                     EncodeNotes* notes) const {
  auto known = scratch.cache.find(piece);
  if (!known.empty()) {
    ids.insert(ids.end(), known.begin(), known.end());
    return;
  }
  const std::vector<Step> best = best_steps(piece);
  std::vector<std::string_view> parts;
  bool unknown_before = false;  // behind, in the text: neighbours that are unknown are one
  for (size_t end = piece.size(); end > 0;) {
    const Step& step = best[end];
    const size_t begin = end - step.length;
    const bool unknown = step.id == options_.unknown_id.value_or(-1);
    if (unknown && unknown_before) {
      parts.back() = piece.substr(begin, step.length + parts.back().size());
    } else {
      parts.push_back(piece.substr(begin, step.length));
    }
    unknown_before = unknown;
    end = begin;
  }
  const size_t first = ids.size();
  bool complete = true;
  for (auto part = parts.rbegin(); part != parts.rend(); ++part) {
    complete &= append_ids(*part, ids, notes);
  }
  if (complete) scratch.cache.remember(piece, std::span(ids).subspan(first));
}

/// Whether the part has a token or all its bytes have.
bool Unigram::append_ids(std::string_view part, std::vector<int32_t>& ids,
                         EncodeNotes* notes) const {
  if (int32_t id = trie_.find(part); id >= 0) {
    ids.push_back(id);
    return true;
  }
  const size_t before = ids.size();
  for (char byte : part) {
    ids.push_back(byte_ids_[static_cast<unsigned char>(byte)]);
    if (ids.back() < 0) break;
  }
  if (ids.back() >= 0) return true;
  ids.resize(before);
  if (options_.unknown_id) ids.push_back(*options_.unknown_id);
  for (size_t at = 0; notes != nullptr && at < part.size();) {
    size_t begin = at;
    next_code_point(part, at);
    ++notes->lost[std::string(part.substr(begin, at - begin))];
  }
  return false;
}

std::string Unigram::options() const {
  return fmt::format("unknown {} byte_fallback {:d}", options_.unknown_id.value_or(-1),
                     options_.byte_fallback);
}

void Unigram::describe(const std::function<void(const std::string&)>& line) const {
  for (double score : scores_) line(fmt::format("{}", score));
}

SubwordModelParts read_unigram(const Json& tokenizer_json, const std::string& place) {
  const Json& model = tokenizer_json.at("model");
  const Json& vocab = model.at("vocab");
  if (!vocab.is_array() || vocab.empty()) {
    fail(ExitCode::kModel, "{}: model.vocab is not a list of pieces with their scores", place);
  }
  SubwordModelParts parts;
  std::vector<std::string> pieces;
  std::vector<double> scores;
  std::unordered_map<std::string, int32_t> ids;
  for (const auto& entry : vocab) {
    const auto id = static_cast<int32_t>(pieces.size());
    if (!entry.is_array() || entry.size() != 2 || !entry[0].is_string() || !entry[1].is_number() ||
        !std::isfinite(entry[1].get<double>())) {
      fail(ExitCode::kModel, "{}: model.vocab: {} at place {} is no piece with a score", place,
           entry.dump(), id);
    }
    pieces.push_back(entry[0]);
    scores.push_back(entry[1]);
    ids[pieces.back()] = id;
    parts.vocabulary.at(id, pieces.back(), place) = {pieces.back(), Vocabulary::Kind::kOrdinary};
  }
  Unigram::Options options;
  options.byte_fallback = model.value("byte_fallback", false);
  if (const Json unknown = model.value("unk_id", Json()); !unknown.is_null()) {
    const int64_t id = token_id(unknown, place);
    if (id < 0 || id >= static_cast<int64_t>(pieces.size())) {
      fail(ExitCode::kModel, "{}: model.unk_id {} is no piece of {}", place, id, pieces.size());
    }
    options.unknown_id = static_cast<int32_t>(id);
  }
  parts.model = std::make_unique<Unigram>(pieces, std::move(scores), options);
  parts.vocabulary.add(tokenizer_json, ids, place);
  return parts;
}

}  // namespace longspan
