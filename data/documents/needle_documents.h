#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

#include "data/documents/needle_piece.h"
#include "data/tokenizers/tokenizer.h"

namespace longspan {

/// What became of the texts so far.
struct NeedleReport {
  int64_t pieces = 0, tokens = 0, facts = 0, quotes = 0;
  int64_t rests = 0, rest_tokens = 0;  // left out: too short for a piece
  int64_t longest_rest_tokens = 0;
  int64_t without_places = 0;  // pieces left out: too few sentences end in them

  void add(const NeedlePiece& piece);
};

/// Plain text made into documents that teach retrieval: facts are put in that are asked for further
/// on ("artificial needles", Xiong et al. 2024, arXiv 2406.19292), and sentences of the text are
/// quoted further on. All is a function of texts, tokenizer and options, the same on every machine.
class NeedleDocuments {
 public:
  /// Throws Error(kUsage) where a count is out of range, or what is put in would be more than three
  /// quarters of a piece. `tokenizer` outlives it.
  NeedleDocuments(const Tokenizer& tokenizer, const NeedleOptions& options);

  /// Hands the pieces of a text to `use`, in order. A piece ends with the first sentence by which
  /// it has more than `length` tokens; the next begins with the sentence behind it. What is put in
  /// stands within the first `length` tokens, statements in the first 85 % of the text there.
  void cut(std::string_view text, const std::function<void(const NeedlePiece&)>& use);
  const NeedleReport& report() const { return report_; }

 private:
  const Tokenizer& tokenizer_;
  NeedleOptions options_;
  NeedleReport report_;
};

}  // namespace longspan
