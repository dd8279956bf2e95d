#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "src/core/json.h"

namespace longspan {

/// From tokens back to text where no pre-tokenizer ByteLevel has named their bytes:
/// tokenizer.json's `decoder`, Metaspace, ByteLevel (of a normalizer's) or a Sequence of Replace
/// (of a String), ByteFallback, Fuse and Strip.
class PieceDecoder {
 public:
  /// Throws Error(kModel) naming the part it does not support.
  PieceDecoder(const Json& json, const std::string& place);

  /// The bytes of one token: <0x0A> is a line feed.
  std::string bytes_of(std::string_view token) const;

  /// Takes off a whole text what Strip does: the space before the first word.
  void strip(std::string& text) const;

 private:
  void add(const Json& step, const std::string& place);
  void add_replacement(const std::string& from, const std::string& to, const std::string& place);

  std::vector<std::pair<std::string, std::string>> replacements_;
  size_t growth_ = 1;
  bool bytes_ = false, fused_ = false, byte_names_ = false;
  std::string strip_;  // the text that Strip takes away, at most so often
  size_t strip_left_ = 0, strip_right_ = 0;
};

}  // namespace longspan
