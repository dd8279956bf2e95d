#include "trainer/eval/arms/downsample.h"

#include <algorithm>

#include "trainer/eval/arms/bm25.h"

namespace longspan {

namespace {

/// In whole tokens, those of `far` alone.
std::vector<TokenRange> sentence_ranges(const LongContext& context, TokenRange far) {
  std::vector<TokenRange> ranges;
  int64_t begin = far.begin;
  for (const Span& sentence : sentence_spans(context.text_of(far))) {
    const int64_t end = std::min(context.token_of(sentence.end - 1) + 1, far.end);
    if (end > begin) ranges.push_back({begin, end});
    begin = std::max(begin, end);
  }
  return ranges;
}

std::vector<TokenRange> best_sentences(const LongContext& context, TokenRange far, int64_t budget) {
  const std::vector<TokenRange> sentences = sentence_ranges(context, far);
  std::vector<std::string> texts;
  for (const TokenRange& sentence : sentences) texts.push_back(context.text_of(sentence));
  const std::vector<double> scores = bm25_scores(texts, context.question);
  return within_budget(by_falling_score(sentences, scores), budget);
}

}  // namespace

void DownsampleArm::fields(FieldsIo& io) {
  io.choice("by", by_, {"chunk", "sentence"},
            "what stays: every n-th chunk, or the sentences that suit the question");
  io.whole("chunk_tokens", chunk_tokens_, {1, int64_t{1} << 30}, "tokens of a chunk");
  io.whole("every", every_, {0, int64_t{1} << 30}, "n: one chunk of so many stays",
           {.otherwise = "as few as the budget demands"});
  ReducingArm::fields(io);
}

std::vector<TokenRange> DownsampleArm::every_nth(TokenRange far, int64_t budget) const {
  const std::vector<TokenRange> chunks = chunks_of(far, chunk_tokens_);
  const int64_t room = std::max<int64_t>(1, budget / chunk_tokens_);
  int64_t every = every_;
  if (every == 0) every = far.size() <= budget ? 1 : (std::ssize(chunks) + room - 1) / room;
  std::vector<TokenRange> kept;
  for (int64_t i = 0; i < std::ssize(chunks); i += every) kept.push_back(chunks[i]);
  return within_budget(kept, budget);
}

std::vector<TokenRange> DownsampleArm::keep(const EvalSubject&, const LongContext& context) {
  const int64_t size = context.size();
  const int64_t near = context.plain_text ? std::min(context.budget / 2, size) : 0;
  const TokenRange far{0, size - near};
  const int64_t budget = context.budget - near;
  std::vector<TokenRange> kept =
      by_ == "chunk" ? every_nth(far, budget) : best_sentences(context, far, budget);
  if (near > 0) kept.push_back({size - near, size});
  return kept;
}

std::vector<Span> sentence_spans(const std::string& text) {
  std::vector<Span> sentences;
  const auto is_space = [](char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; };
  size_t begin = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool stop = text[i] == '.' || text[i] == '!' || text[i] == '?';
    const bool last = i + 1 == text.size();
    if (text[i] == '\n' || last || (stop && is_space(text[i + 1]))) {
      sentences.push_back({begin, i + 1});
      begin = i + 1;
    }
  }
  return sentences;
}

}  // namespace longspan
