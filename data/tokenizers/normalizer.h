#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "data/tokenizers/character_filter.h"
#include "data/tokenizers/regex.h"
#include "data/tokenizers/unicode_normalizer.h"
#include "src/core/character_map.h"
#include "src/core/json.h"

namespace longspan {

/// What happens to a text before anything else: tokenizer.json's `normalizer`, one of null, NFC,
/// NFD, NFKC, NFKD, Lowercase, StripAccents, Nmt, ByteLevel, BertNormalizer, Precompiled, Strip,
/// Prepend, Replace, or a Sequence of these.
class Normalizer {
 public:
  /// Throws Error(kModel) naming the part it does not support.
  Normalizer(const Json& json, const std::string& place);

  /// `text` itself where nothing changes, else what it becomes, in `storage`.
  std::string_view apply(std::string_view text, std::string& storage, RegexScratch& scratch) const;

  /// All that decides what a text becomes, as text; empty when nothing does.
  std::string description() const;

 private:
  struct Prepend {
    std::string text;  // before a text that is not empty
  };
  struct Strip {  // white space at an end
    bool left, right;
  };
  struct ReplaceText {
    std::string from, to;
  };
  struct ReplacePattern {
    Regex from;
    std::string to;
  };
  struct Precompiled {
    CharacterMap map;
    std::string base64;  // as it is given
  };
  using Step = std::variant<UnicodeForm, const CharacterFilter*, Precompiled, Prepend, Strip,
                            ReplaceText, ReplacePattern>;

  static std::string_view run(const Step& step, std::string_view text, std::string& storage,
                              RegexScratch& scratch);
  static std::string description_of(const Step& step);
  void add(const Json& json, const std::string& place);
  void add_named(const std::string& type, const Json& json, const std::string& place);
  void add_filter(const CharacterFilter& filter, const std::string& place);
  void add_bert(const Json& json, const std::string& place);
  void add_precompiled(const Json& json, const std::string& place);
  void add_replace(const Json& json, const std::string& place);
  void add_growth(size_t growth, const std::string& place);

  std::vector<Step> steps_;
  size_t growth_ = 1;  // of the replacements together, at most
};

}  // namespace longspan
