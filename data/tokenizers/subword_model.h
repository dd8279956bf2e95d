#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "data/tokenizers/tokenizer.h"
#include "data/tokenizers/vocabulary.h"
#include "data/tokenizers/word_cache.h"

namespace longspan {

/// What one encode() at a time needs.
struct SubwordScratch {
  WordCache cache;
  std::vector<int32_t> symbols;
};

/// tokenizer.json's `model`: the ids of a piece of text that the pre-tokenizer has cut.
/// Thread-safe.
class SubwordModel {
 public:
  virtual ~SubwordModel() = default;

  /// Appends the ids of `piece`, which is valid UTF-8. Characters that the vocabulary lacks are
  /// counted in `notes`, if given.
  virtual void encode(std::string_view piece, SubwordScratch& scratch, std::vector<int32_t>& ids,
                      EncodeNotes* notes) const = 0;

  /// The model's kind and options, for a fingerprint.
  virtual std::string kind() const = 0;
  virtual std::string options() const = 0;
  /// All else, beside the tokens' texts, that decides the ids: calls line(std::string) for each.
  virtual void describe(const std::function<void(const std::string&)>& line) const = 0;
};

/// A model with the tokens that it makes, and what a text of them goes through.
struct SubwordModelParts {
  Vocabulary vocabulary;
  std::unique_ptr<SubwordModel> model;
};

}  // namespace longspan
