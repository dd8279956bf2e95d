#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "data/tokenizers/regex.h"
#include "src/core/json.h"

namespace longspan {

/// Cuts a text into the pieces that merges never cross: tokenizer.json's `pre_tokenizer`. With
/// byte-level BPE one of ByteLevel, or a Sequence of Split (a Regex, behaviour Isolated), Digits
/// and a closing ByteLevel; with byte-fallback BPE null, Metaspace, Split (a String, behaviour
/// MergedWithPrevious), Digits, or a Sequence of these. Each step cuts the pieces of the one before
/// it, blind to what lies around them.
class PreTokenizer {
 public:
  /// Throws Error(kModel) naming the part it does not support.
  PreTokenizer(const Json& json, bool byte_level, const std::string& place);

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
  struct CutBehind {      // each time this text comes
    std::string text;
  };
  struct Metaspace {  // "▁" for each space, and before a piece that does not start with it
    enum class Prepend { kNever, kFirst, kAlways };
    std::string replacement;
    Prepend prepend = Prepend::kAlways;
    bool split = true;  // before each replacement

    std::string apply(std::string_view text, bool first) const;
  };
  using Step = std::variant<Regex, PrefixSpace, CutBehind, Metaspace>;

  template <class Piece>
  void run(size_t index, std::string_view text, bool first, RegexScratch& scratch,
           Piece& piece) const {
    if (index == steps_.size()) {
      piece(text);
      return;
    }
    auto next = [&](std::string_view part) {
      run(index + 1, part, first, scratch, piece);
      first = false;
    };
    const Step& step = steps_[index];
    if (const auto* regex = std::get_if<Regex>(&step)) {
      regex->isolate(text, scratch, next);
    } else if (const auto* cut = std::get_if<CutBehind>(&step)) {
      while (!text.empty()) {
        size_t end = text.find(cut->text);
        end = end == text.npos ? text.size() : end + cut->text.size();
        next(text.substr(0, end));
        text.remove_prefix(end);
      }
    } else if (const auto* metaspace = std::get_if<Metaspace>(&step)) {
      std::string made = metaspace->apply(text, first);
      for (std::string_view rest = made; !rest.empty();) {
        size_t end = metaspace->split ? rest.find(metaspace->replacement, 1) : rest.npos;
        end = std::min(end, rest.size());
        next(rest.substr(0, end));
        rest.remove_prefix(end);
      }
    } else if (text.starts_with(' ')) {
      next(text);
    } else {
      next(" " + std::string(text));
    }
  }

  void add(const Json& json, const std::string& place);
  void add_split(const Json& json, const std::string& place);
  void add_metaspace(const Json& json, const std::string& place);
  [[noreturn]] void unsupported(const std::string& place, const std::string& what) const;

  bool byte_level_;
  bool closed_ = false;  // by ByteLevel
  std::vector<Step> steps_;
};

}  // namespace longspan
