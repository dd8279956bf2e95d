#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace longspan {

/// The places where a text may be cut and its parts be merged one by one, for no merge makes a
/// token that reaches across: between two characters that are neighbours in no such token. LLaMA 2
/// has none with a blank ("▁") behind anything but a blank, and none with a line feed.
class MergeBoundaries {
 public:
  /// `token` is what a merge makes.
  void add(std::string_view token);

  /// The first boundary of `text` behind its start, or its end. `text` must be valid UTF-8.
  size_t next(std::string_view text) const;

 private:
  // ASCII one by one; all other characters but the blank are one kind.
  enum : uint8_t { kBlank = 128, kOther, kKinds };
  static uint8_t take(std::string_view text, size_t& at);

  std::array<std::array<bool, kKinds>, kKinds> joined_{};  // by left and right neighbour
};

}  // namespace longspan
