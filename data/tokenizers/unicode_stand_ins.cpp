#include "data/tokenizers/unicode_stand_ins.h"

#include <algorithm>
#include <bitset>
#include <cstring>
#include <iterator>

#include "src/core/utf8.h"

namespace longspan {

namespace {

struct Range {
  char32_t first, last, stand_in;
};
constexpr Range kRanges[] = {
#include "data/tokenizers/unicode_stand_ins.inc"
};

// Which blocks of 64 code points hold any: nearly every text is done with this look alone.
using Blocks = std::bitset<(0x110000 >> 6)>;
const Blocks& blocks() {
  static const Blocks kBlocks = [] {
    Blocks made;
    for (const auto& range : kRanges) {
      for (char32_t block = range.first >> 6; block <= range.last >> 6; ++block) made.set(block);
    }
    return made;
  }();
  return kBlocks;
}

// 0 when the code point stands for itself.
char32_t stand_in(char32_t c) {
  const auto* range =
      std::upper_bound(std::begin(kRanges), std::end(kRanges), c,
                       [](char32_t value, const Range& r) { return value < r.first; });
  if (range == std::begin(kRanges)) return 0;
  --range;
  return c <= range->last ? range->stand_in : 0;
}

}  // namespace

std::string_view with_stand_ins(std::string_view text, std::string& storage) {
  const Blocks& candidates = blocks();
  bool replaced = false;
  for (size_t at = 0; at < text.size();) {
    auto lead = static_cast<unsigned char>(text[at]);
    if (lead < 0xE0) {  // the table starts at U+0800
      ++at;
      continue;
    }
    size_t start = at;
    char32_t c = next_code_point(text, at);
    if (!candidates[c >> 6]) continue;
    char32_t other = stand_in(c);
    if (other == 0) continue;
    if (!replaced) storage = text;
    replaced = true;
    std::string bytes;
    append_utf8(bytes, other);
    std::memcpy(storage.data() + start, bytes.data(), bytes.size());
  }
  return replaced ? std::string_view(storage) : text;
}

}  // namespace longspan
