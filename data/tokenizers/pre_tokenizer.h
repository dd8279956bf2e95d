#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "data/tokenizers/byte_level_alphabet.h"
#include "data/tokenizers/regex.h"
#include "data/tokenizers/split_behavior.h"
#include "src/core/json.h"

namespace longspan {

/// Cuts a text into the pieces that tokens never cross: tokenizer.json's `pre_tokenizer`. null, one
/// step or a Sequence of Split, Digits, Punctuation, Whitespace, WhitespaceSplit,
/// CharDelimiterSplit, FixedLength, UnicodeScripts, BertPreTokenizer, Metaspace, and ByteLevel, up
/// to two. Each step cuts the pieces of the one before it, blind to what lies around them; those
/// behind ByteLevel see the names of the bytes, of which a second ByteLevel names the bytes.
class PreTokenizer {
 public:
  /// Throws Error(kModel) naming the part it does not support.
  PreTokenizer(const Json& json, const std::string& place);

  /// Whether ByteLevel is one of the steps, so that a vocabulary is one of bytes.
  bool byte_level() const { return byte_levels_ > 0; }

  /// Calls piece(std::string_view) for each piece in order; a view lives until the call returns.
  /// `first`: nothing came before `text`, not even an added token.
  template <class Piece>
  void split(std::string_view text, bool first, RegexScratch& scratch, Piece&& piece) const {
    run(0, text, first, scratch, piece);
  }

  /// All that decides the pieces, as text.
  std::string description() const;

 private:
  struct PrefixSpace {};  // puts a space before a piece that does not start with one
  struct NamedBytes {};   // the letters that ByteLevel makes of a piece
  struct Split {
    Regex pattern;
    Regex::Kind kind;
    SplitBehavior behavior;
    bool invert;  // what lies between the matches is the match

    std::vector<SplitSpan> pieces(std::string_view text, RegexScratch& scratch) const;
    std::string description() const;
  };
  struct Punctuation {  // each sign is a match
    SplitBehavior behavior;
  };
  struct UnicodeScripts {};
  struct Metaspace {  // "▁" for each space, and before a piece that does not start with it
    enum class Prepend { kNever, kFirst, kAlways };
    std::string replacement;
    Prepend prepend = Prepend::kAlways;
    bool split = true;  // before each replacement

    std::string apply(std::string_view text, bool first) const;
  };
  using Step = std::variant<Split, Punctuation, UnicodeScripts, PrefixSpace, NamedBytes, Metaspace>;

  template <class Piece>
  void run(size_t index, std::string_view text, bool first, RegexScratch& scratch,
           Piece& piece) const {
    if (index == steps_.size()) {
      if (byte_level() && !unnamed_) {
        piece(std::string_view(byte_level_bytes(text).value()));
      } else {
        piece(text);
      }
      return;
    }
    auto next = [&](std::string_view part) {
      run(index + 1, part, first, scratch, piece);
      first = false;
    };
    const Step& step = steps_[index];
    const auto* split = std::get_if<Split>(&step);
    if (split != nullptr && split->behavior == SplitBehavior::kIsolated) {
      split->pattern.isolate(text, scratch, next);
    } else if (const auto* metaspace = std::get_if<Metaspace>(&step)) {
      std::string made = metaspace->apply(text, first);
      for (std::string_view rest = made; !rest.empty();) {
        size_t end = metaspace->split ? rest.find(metaspace->replacement, 1) : rest.npos;
        end = std::min(end, rest.size());
        next(rest.substr(0, end));
        rest.remove_prefix(end);
      }
    } else if (std::holds_alternative<NamedBytes>(step)) {
      next(byte_level_names(text));
    } else if (!std::holds_alternative<PrefixSpace>(step)) {
      for (const auto& span : pieces(step, text, scratch)) {
        if (span.end > span.begin) next(text.substr(span.begin, span.end - span.begin));
      }
    } else if (text.starts_with(' ')) {
      next(text);
    } else {
      next(" " + std::string(text));
    }
  }

  /// Of Split, Punctuation or UnicodeScripts; empty ones too.
  static std::vector<SplitSpan> pieces(const Step& step, std::string_view text,
                                       RegexScratch& scratch);
  static std::string description_of(const Step& step);
  void add(const Json& json, const std::string& place);
  void add_split(const Json& json, const std::string& place);
  void add_metaspace(const Json& json, const std::string& place);
  void add_punctuation(const Json& behavior, const std::string& place);
  void add_pattern(const std::string& pattern, const Json& behavior, bool invert,
                   const std::string& place, Regex::Kind kind = Regex::Kind::kPattern);

  int byte_levels_ = 0;
  bool unnamed_ = false;  // no step follows the last ByteLevel: its pieces need no names
  std::vector<Step> steps_;
};

}  // namespace longspan
