#include "src/attention/memory_block.h"

#include <utility>

#include "src/attention/memory_file.h"

namespace longspan {

namespace {

template <class Change>
Remembered each_tensor(const Remembered& x, const Change& change) {
  const auto if_defined = [&](const at::Tensor& part) {
    return part.defined() ? change(part) : part;
  };
  return {if_defined(x.codes), if_defined(x.scales), if_defined(x.offsets)};
}

Remembered remembered_in(const at::Tensor& x, MemDtype dtype, MemoryFile* file) {
  const Remembered remembered = remember(x, dtype);
  if (!file) return remembered;
  return each_tensor(remembered, [&](const at::Tensor& part) { return file->put(part); });
}

}  // namespace

MemoryBlock::MemoryBlock(const KeysAndValues& window, MemDtype dtype, MemoryFile* file)
    : MemoryBlock(remembered_in(window.k, dtype, file), remembered_in(window.v, dtype, file),
                  window.k.size(3)) {}

MemoryBlock::MemoryBlock(Remembered k, Remembered v, int64_t head_dim)
    : k_(std::move(k)), v_(std::move(v)), head_dim_(head_dim) {}

KeysAndValues MemoryBlock::recall(const at::TensorOptions& options) const {
  const auto moved = [&](const at::Tensor& x) { return x.to(options.device()); };
  const auto whole = [&](const Remembered& x) {
    return longspan::recall(each_tensor(x, moved), head_dim_,
                            c10::typeMetaToScalarType(options.dtype()));
  };
  return {whole(k_), whole(v_)};
}

KeysAndValues MemoryBlock::recall(int64_t row, int64_t head, int64_t begin, int64_t tokens,
                                  const at::TensorOptions& options) const {
  const auto part = [&](const at::Tensor& x) {
    return x.narrow(0, row, 1).narrow(1, head, 1).narrow(2, begin, tokens);
  };
  return MemoryBlock(each_tensor(k_, part), each_tensor(v_, part), head_dim_).recall(options);
}

}  // namespace longspan
