#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "data/tokenizers/unicode_stand_ins.h"

namespace longspan {

/// What one thread needs to match: where PCRE2 puts its result, and the stack of its JIT code.
class RegexScratch {
 public:
  RegexScratch();
  ~RegexScratch();

 private:
  friend class Regex;
  struct Buffers;
  std::unique_ptr<Buffers> buffers_;
};

/// A PCRE2 pattern with Unicode properties, compiled by its JIT. The patterns of tokenizer.json
/// (written for Oniguruma) run unchanged and match alike, Unicode 16 included.
class Regex {
 public:
  /// Throws Error(kModel) with `place`, the pattern and PCRE2's reason.
  Regex(std::string pattern, const std::string& place);
  ~Regex();
  Regex(Regex&&) noexcept;

  const std::string& pattern() const { return pattern_; }

  bool matches(std::string_view text, RegexScratch& scratch) const {
    std::string storage;
    return find(with_stand_ins(text, storage), 0, scratch).first < text.size();
  }

  /// Calls piece(std::string_view) for each match and for each text between matches, in order: a
  /// Split with behaviour "Isolated". `text` must be valid UTF-8.
  template <class Piece>
  void isolate(std::string_view text, RegexScratch& scratch, Piece&& piece) const {
    std::string storage;
    std::string_view seen = with_stand_ins(text, storage);
    size_t done = 0;
    while (done < text.size()) {
      auto [begin, end] = find(seen, done, scratch);
      if (begin > done) piece(text.substr(done, begin - done));
      if (end > begin) piece(text.substr(begin, end - begin));
      done = end;
    }
  }

 private:
  /// The first match that is not empty, from byte `from` on; {size, size} when there is none.
  std::pair<size_t, size_t> find(std::string_view text, size_t from, RegexScratch& scratch) const;

  struct Code;
  std::string pattern_;
  std::unique_ptr<Code> code_;
};

}  // namespace longspan
