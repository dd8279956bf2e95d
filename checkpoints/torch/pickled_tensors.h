#pragma once

#include <c10/core/ScalarType.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoints/torch/pickle_stack.h"

namespace longspan {

/// A tensor of a pickled state dict: a strided window on a storage that lies outside the pickle.
struct PickledTensor {
  std::string name;
  std::string storage;  // its key
  at::ScalarType dtype = at::kFloat;
  int64_t storage_numel = 0;
  int64_t storage_offset = 0;
  std::vector<int64_t> sizes, strides;
};

/// What a pickle of torch.save has beside Python's own values: PyTorch's globals, the storages that
/// it names and the tensors that it makes of them. Each goes onto the stack as its index here. Any
/// other global, and a window that leaves its storage, throw Error(kModel).
class PickledTensors {
 public:
  /// `stack` must outlive it.
  explicit PickledTensors(PickleStack& stack) : stack_(stack) {}

  /// The opcodes GLOBAL, BINPERSID and REDUCE.
  void push_global(std::string_view module, std::string_view name);
  void push_storage();
  void reduce();

  /// What a value of Kind::kTensor refers to, without its name.
  const PickledTensor& tensor(const PickleValue& value) const { return tensors_[value.number]; }

 private:
  using Kind = PickleValue::Kind;
  struct Storage {
    std::string_view key;
    at::ScalarType dtype;
    int64_t numel;
  };

  void push_tensor(std::span<const PickleValue> arguments);
  std::vector<int64_t> sizes_of(const PickleValue& tuple) const;
  void check_window(const PickledTensor& tensor) const;

  PickleStack& stack_;
  std::vector<std::string> globals_;
  std::vector<Storage> storages_;
  std::vector<PickledTensor> tensors_;
};

}  // namespace longspan
