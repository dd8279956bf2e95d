#include "src/attention/key_value_cache.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace longspan {

/// Its users know one another, so that none writes over what another still reads.
struct KeyValueCache::Memory {
  at::Tensor keys, values;  // [B, Hkv, capacity, D]
  std::vector<const KeyValueCache*> users;

  int64_t capacity() const { return keys.size(2); }
  KeysAndValues first(int64_t tokens) const {
    return {keys.narrow(2, 0, tokens), values.narrow(2, 0, tokens)};
  }
};

namespace {

at::Tensor grown(const at::Tensor& old, const at::Tensor& like, int64_t kept, int64_t capacity) {
  at::Tensor larger =
      at::empty({like.size(0), like.size(1), capacity, like.size(3)}, like.options());
  if (kept > 0) larger.narrow(2, 0, kept).copy_(old.narrow(2, 0, kept));
  return larger;
}

}  // namespace

KeyValueCache::~KeyValueCache() { leave(); }

void KeyValueCache::leave() {
  if (memory_) std::erase(memory_->users, this);
}

void KeyValueCache::share(std::shared_ptr<Memory> memory) {
  leave();
  memory_ = std::move(memory);
  memory_->users.push_back(this);
}

/// Behind the committed tokens, which move to memory of their own when it is full or another user
/// has gone on in it.
void KeyValueCache::write(const at::Tensor& k, const at::Tensor& v) {
  const int64_t needed = length_ + k.size(2);
  const bool taken = memory_ && std::ranges::any_of(memory_->users, [&](const auto* user) {
                       return user != this && user->length_ + user->written_ > length_;
                     });
  const int64_t capacity = memory_ ? memory_->capacity() : 0;
  if (taken || needed > capacity) {
    const int64_t larger = std::max(needed, taken ? 0 : capacity + capacity / 2);
    auto moved = std::make_shared<Memory>();
    moved->keys = grown(memory_ ? memory_->keys : at::Tensor(), k, length_, larger);
    moved->values = grown(memory_ ? memory_->values : at::Tensor(), v, length_, larger);
    share(std::move(moved));
  }
  memory_->keys.narrow(2, length_, k.size(2)).copy_(k);
  memory_->values.narrow(2, length_, v.size(2)).copy_(v);
  written_ = k.size(2);
}

KeysAndValues KeyValueCache::read(int64_t first_position, const at::Tensor& k,
                                  const at::Tensor& v) {
  if (first_position > length_) {
    throw std::logic_error(fmt::format(
        "KeyValueCache: a pass begins at position {}, after {} tokens", first_position, length_));
  }
  if (first_position == length_ && !at::GradMode::is_enabled()) {
    pending_ = {};
    write(k, v);
    return memory_->first(length_ + written_);
  }
  // Autograd keeps what it is given: later passes must not write into it.
  if (first_position == length_) {
    written_ = 0;
    pending_ = {k.detach(), v.detach()};
  }
  if (first_position == 0) return {k, v};
  const KeysAndValues past = memory_->first(first_position);
  return {at::cat({past.k, k}, 2), at::cat({past.v, v}, 2)};
}

void KeyValueCache::commit() {
  if (pending_.k.defined()) {
    const at::NoGradGuard no_gradients;
    write(pending_.k, pending_.v);
    pending_ = {};
  }
  length_ += written_;
  written_ = 0;
}

KeysAndValues KeyValueCache::committed() const {
  return memory_ ? memory_->first(length_) : KeysAndValues{};
}

std::shared_ptr<LayerState> KeyValueCache::fork() const {
  auto other = std::make_shared<KeyValueCache>();
  other->length_ = length_;
  if (memory_) other->share(memory_);
  return other;
}

}  // namespace longspan
