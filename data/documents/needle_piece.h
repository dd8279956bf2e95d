#pragma once

#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "data/documents/needle_facts.h"
#include "data/documents/sentenced_text.h"
#include "data/documents/span.h"
#include "data/tokenizers/tokenizer.h"

namespace longspan {

/// How long pieces of text are, and what is put into each.
struct NeedleOptions {
  int64_t length = 2048;  // tokens that hold all that is put in; a piece has at least one more
  int64_t facts = 16;     // stated, and asked for and answered further on; at most kMostNeedleFacts
  int64_t quotes = 5;     // sentences of the text that are quoted further on, where it has so many
  uint64_t seed = 0;
};

/// What stands in a piece and comes again at least length / 10 tokens further on.
struct Needle {
  std::string value;  // of a fact, or the sentence that is quoted, its lines on one
  Span stated;        // of a fact: the statement; else the sentence, which is the text's own
  Span repeated;      // of a fact: the question with its answer; else the quotation
};

/// A piece of text with what was put in, each behind a sentence and a blank.
struct NeedlePiece {
  std::string text;
  int64_t tokens = 0;
  std::vector<Needle> facts, quotes;
};

/// The sentences [first, end) of a text with `facts` and options.quotes quotations at drawn places
/// among them. Statements stand in the first 85 % of these sentences, and a quoted sentence does.
/// Nothing where no such place is length / 10 tokens of the text before the last one.
std::optional<NeedlePiece> put_needles(const SentencedText& text, size_t first, size_t end,
                                       const std::vector<NeedleFact>& facts,
                                       const NeedleOptions& options, std::mt19937_64 generator);

/// The tokens that these facts and so many quotations take: a quotation is counted at its longest.
int64_t needle_tokens(const std::vector<NeedleFact>& facts, int64_t quotes,
                      const Tokenizer& tokenizer);

}  // namespace longspan
