#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace longspan {

/// Finds the pieces of a vocabulary that a text begins with.
class PieceTrie {
 public:
  /// The ids are the places in `pieces`; of equal ones the last counts.
  explicit PieceTrie(const std::vector<std::string>& pieces);

  /// Calls found(size_t bytes, int32_t id) for each piece that `text` begins with, the shortest
  /// first.
  template <class Found>
  void for_each_prefix(std::string_view text, Found&& found) const {
    uint32_t node = 0;
    for (size_t at = 0; at < text.size(); ++at) {
      node = child(node, static_cast<unsigned char>(text[at]));
      if (node == 0) return;
      if (nodes_[node].id >= 0) found(at + 1, nodes_[node].id);
    }
  }

  /// The id of the piece that is `text`; -1 when none is.
  int32_t find(std::string_view text) const;

 private:
  struct Node {
    uint32_t first_child = 0, children = 0;  // neighbours in nodes_, by rising byte
    int32_t id = -1;
    uint8_t byte = 0;
  };

  /// 0, the root, when there is none.
  uint32_t child(uint32_t node, uint8_t byte) const;

  std::vector<Node> nodes_;
};

}  // namespace longspan
