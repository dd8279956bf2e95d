#pragma once

#include <torch/csrc/autograd/function.h>

#include <memory>
#include <type_traits>

namespace longspan {

/// A new node of the autograd graph, held as this LibTorch holds its own: by c10::intrusive_ptr in
/// 2.15, by std::shared_ptr in those before.
template <class Node>
auto make_autograd_node() {
  if constexpr (std::is_base_of_v<c10::intrusive_ptr_target, Node>) {
    return c10::make_intrusive<Node>();
  } else {
    // deleteNode, which 2.15 lacks, frees a long graph without recursion.
    return std::shared_ptr<Node>(new Node(), [](auto* node) { deleteNode(node); });
  }
}

}  // namespace longspan
