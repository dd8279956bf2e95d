#include "data/tokenizers/piece_trie.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace longspan {

PieceTrie::PieceTrie(const std::vector<std::string>& pieces) : nodes_(1) {
  std::vector<int32_t> order(pieces.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) {
    return pieces[static_cast<size_t>(a)] < pieces[static_cast<size_t>(b)];
  });
  // Breadth first, so that the children of a node are neighbours: each range of `order` has the
  // pieces that begin alike.
  struct Range {
    uint32_t node;
    size_t begin, end, depth;
  };
  std::vector<Range> level{{0, 0, order.size(), 0}};
  while (!level.empty()) {
    std::vector<Range> below;
    for (const auto& range : level) {
      size_t at = range.begin;
      auto piece = [&](size_t i) -> const std::string& {
        return pieces[static_cast<size_t>(order[i])];
      };
      for (; at < range.end && piece(at).size() == range.depth; ++at) {
        nodes_[range.node].id = order[at];
      }
      nodes_[range.node].first_child = static_cast<uint32_t>(nodes_.size());
      while (at < range.end) {
        const char byte = piece(at)[range.depth];
        size_t end = at;
        while (end < range.end && piece(end)[range.depth] == byte) ++end;
        below.push_back({static_cast<uint32_t>(nodes_.size()), at, end, range.depth + 1});
        nodes_.push_back({0, 0, -1, static_cast<uint8_t>(byte)});
        ++nodes_[range.node].children;
        at = end;
      }
    }
    level = std::move(below);
  }
}

uint32_t PieceTrie::child(uint32_t node, uint8_t byte) const {
  const auto begin = nodes_.begin() + nodes_[node].first_child;
  const auto end = begin + nodes_[node].children;
  const auto found = std::lower_bound(begin, end, byte,
                                      [](const Node& a, uint8_t value) { return a.byte < value; });
  if (found == end || found->byte != byte) return 0;
  return static_cast<uint32_t>(found - nodes_.begin());
}

int32_t PieceTrie::find(std::string_view text) const {
  int32_t id = -1;
  for_each_prefix(text, [&](size_t bytes, int32_t piece) {
    if (bytes == text.size()) id = piece;
  });
  return id;
}

}  // namespace longspan
