#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "data/regex.h"
#include "src/core/json.h"

namespace longspan {

/// Cuts a text into the pieces that merges never cross: tokenizer.json's `pre_tokenizer`, one of
/// ByteLevel, or a Sequence of Split (a Regex, behaviour Isolated), Digits and a closing ByteLevel.
/// Each step cuts the pieces of the one before it, blind to what lies around them.
class PreTokenizer {
 public:
  /// Throws Error(kModel) naming the part it does not support.
  PreTokenizer(const Json& json, const std::string& place);

  /// Calls piece(std::string_view) for each piece in order; a view lives until the call returns.
  template <class Piece>
  void split(std::string_view text, RegexScratch& scratch, Piece&& piece) const {
    run(0, text, scratch, piece);
  }

  /// All that decides the pieces, as text.
  std::string description() const;

 private:
  struct PrefixSpace {};  // puts a space before a piece that does not start with one
  using Step = std::variant<Regex, PrefixSpace>;

  template <class Piece>
  void run(size_t step, std::string_view text, RegexScratch& scratch, Piece& piece) const {
    if (step == steps_.size()) {
      piece(text);
    } else if (const auto* regex = std::get_if<Regex>(&steps_[step])) {
      regex->isolate(text, scratch,
                     [&](std::string_view part) { run(step + 1, part, scratch, piece); });
    } else if (text.starts_with(' ')) {
      run(step + 1, text, scratch, piece);
    } else {
      run(step + 1, " " + std::string(text), scratch, piece);
    }
  }

  void add(const Json& json, const std::string& place);

  std::vector<Step> steps_;
  bool byte_level_ = false;
};

}  // namespace longspan
