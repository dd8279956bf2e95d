#include "src/attention/layer_state.h"

#include <ATen/ops/empty.h>

#include <algorithm>

#include "src/attention/attention.h"

namespace longspan {

namespace {

at::Tensor grown(const at::Tensor& old, const at::Tensor& like, int64_t kept, int64_t capacity) {
  at::Tensor larger =
      at::empty({like.size(0), like.size(1), capacity, like.size(3)}, like.options());
  if (kept > 0) larger.narrow(2, 0, kept).copy_(old.narrow(2, 0, kept));
  return larger;
}

}  // namespace

std::pair<at::Tensor, at::Tensor> LayerState::append(const at::Tensor& k, const at::Tensor& v) {
  int64_t needed = length_ + k.size(2);
  int64_t capacity = keys_.defined() ? keys_.size(2) : 0;
  if (needed > capacity) {
    capacity = std::max(needed, capacity + capacity / 2);
    keys_ = grown(keys_, k, length_, capacity);
    values_ = grown(values_, v, length_, capacity);
  }
  keys_.narrow(2, length_, k.size(2)).copy_(k);
  values_.narrow(2, length_, v.size(2)).copy_(v);
  length_ = needed;
  return {keys_.narrow(2, 0, length_), values_.narrow(2, 0, length_)};
}

}  // namespace longspan
