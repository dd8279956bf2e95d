#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "data/tokenizers/unicode_stand_ins.h"
#include "src/core/utf8.h"

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
/// (written for Oniguruma) match alike, Unicode 16 included.
class Regex {
 public:
  enum class Kind { kPattern, kLiteral };

  /// Throws Error(kModel) with `place`, the pattern and PCRE2's reason.
  Regex(std::string pattern, const std::string& place, Kind kind = Kind::kPattern);
  ~Regex();
  Regex(Regex&&) noexcept;

  const std::string& pattern() const { return pattern_; }

  bool matches(std::string_view text, RegexScratch& scratch) const {
    std::string storage;
    return find(seen(text, storage), 0, scratch).has_value();
  }

  /// Calls found(size_t begin, size_t end) for each match in order, empty ones too but for one
  /// right behind the match before it, as Oniguruma's iterator. `text` must be valid UTF-8.
  template <class Found>
  void for_each_match(std::string_view text, RegexScratch& scratch, Found&& found) const {
    std::string storage;
    const std::string_view where = seen(text, storage);
    std::optional<size_t> before;  // the end of the match before
    for (size_t from = 0; from <= text.size();) {
      auto match = find(where, from, scratch);
      if (!match) return;
      auto [begin, end] = *match;
      if (begin == end && before == end) {
        if (from >= text.size()) return;
        next_code_point(text, from);
        continue;
      }
      before = from = end;
      found(begin, end);
    }
  }

  /// Calls piece(std::string_view) for each match and for each text between matches, in order, but
  /// not for empty ones: a Split with behaviour "Isolated". `text` must be valid UTF-8.
  template <class Piece>
  void isolate(std::string_view text, RegexScratch& scratch, Piece&& piece) const {
    size_t done = 0;
    for_each_match(text, scratch, [&](size_t begin, size_t end) {
      if (begin > done) piece(text.substr(done, begin - done));
      if (end > begin) piece(text.substr(begin, end - begin));
      done = end;
    });
    if (done < text.size()) piece(text.substr(done));
  }

 private:
  using Match = std::optional<std::pair<size_t, size_t>>;

  /// The first match from byte `from` on.
  Match find(std::string_view text, size_t from, RegexScratch& scratch) const;

  /// `text` as the pattern is to see it.
  std::string_view seen(std::string_view text, std::string& storage) const {
    return kind_ == Kind::kLiteral ? text : with_stand_ins(text, storage);
  }

  struct Code;
  std::string pattern_;
  Kind kind_;
  std::unique_ptr<Code> code_;
};

}  // namespace longspan
