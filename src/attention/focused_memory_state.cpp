#include "src/attention/focused_memory_state.h"

#include <ATen/core/grad_mode.h>
#include <fmt/format.h>

#include <stdexcept>

namespace longspan {

namespace {

std::shared_ptr<KeyValueCache> forked(const KeyValueCache& cache) {
  return std::static_pointer_cast<KeyValueCache>(cache.fork());
}

/// A cache of the last `tokens` of x alone.
std::shared_ptr<KeyValueCache> cache_of_last(const KeysAndValues& x, int64_t tokens) {
  auto cache = std::make_shared<KeyValueCache>();
  const int64_t first = x.k.size(2) - tokens;
  cache->read(0, x.k.narrow(2, first, tokens), x.v.narrow(2, first, tokens));
  cache->commit();
  return cache;
}

}  // namespace

MemoryBlock::MemoryBlock(const KeysAndValues& window, MemDtype dtype)
    : k_(remember(window.k, dtype)), v_(remember(window.v, dtype)), head_dim_(window.k.size(3)) {}

KeysAndValues MemoryBlock::recall(at::ScalarType dtype) const {
  return {longspan::recall(k_, head_dim_, dtype), longspan::recall(v_, head_dim_, dtype)};
}

FocusedMemoryState::FocusedMemoryState(const WindowLengths& lengths, bool is_memory_layer,
                                       MemDtype dtype)
    : is_memory_layer_(is_memory_layer),
      dtype_(dtype),
      now_{ReadingWindows(lengths),
           std::make_shared<KeyValueCache>(),
           std::make_shared<KeyValueCache>(),
           {}} {}

const FocusedMemoryState::Moment& FocusedMemoryState::moment(int64_t first_position) const {
  if (first_position == length()) return now_;
  if (before_ && first_position == before_->windows.length()) return *before_;
  throw std::logic_error(
      fmt::format("FocusedMemoryState: a pass begins at position {}, after {} tokens",
                  first_position, length()));
}

std::vector<int64_t> FocusedMemoryState::begin_pass(int64_t first_position, int64_t tokens,
                                                    int64_t sequence_length) {
  ReadingWindows windows = moment(first_position).windows;
  std::vector<int64_t> begins = windows.read(tokens, sequence_length);
  if (first_position == length()) {
    pass_ = Pass{windows, begins, {}, {}, at::GradMode::is_enabled()};
  }
  return begins;
}

int64_t FocusedMemoryState::first_key(int64_t first_position) const {
  return moment(first_position).windows.open_begin();
}

KeysAndValues FocusedMemoryState::read(int64_t first_position, const at::Tensor& k,
                                       const at::Tensor& v) {
  if (first_position == length() && !pass_) {
    begin_pass(first_position, k.size(2), first_position + k.size(2));
  }
  const Moment& at = moment(first_position);
  const KeysAndValues all = at.open->read(first_position - at.windows.open_begin(), k, v);
  if (first_position == length()) pass_->open = all;
  return all;
}

KeysAndValues FocusedMemoryState::read_first(int64_t first_position, const at::Tensor& first_k,
                                             const at::Tensor& v) {
  const Moment& at = moment(first_position);
  const KeysAndValues all =
      at.open_first->read(first_position - at.windows.open_begin(), first_k, v);
  if (first_position == length()) pass_->open_first = all;
  return all;
}

const std::vector<std::shared_ptr<const MemoryBlock>>& FocusedMemoryState::memory(
    int64_t first_position) const {
  return moment(first_position).memory;
}

/// What the pass closed becomes memory; the window that it leaves open begins caches of its own.
void FocusedMemoryState::close_windows(const ReadingWindows& after) {
  const int64_t open = after.length() - after.open_begin();
  if (is_memory_layer_) {
    const int64_t first = now_.windows.open_begin();
    const KeysAndValues& keys = pass_->open_first;
    int64_t begin = first;
    for (const int64_t next : pass_->begins) {
      if (next == begin) continue;
      const int64_t tokens = next - begin;
      now_.memory.push_back(std::make_shared<const MemoryBlock>(
          KeysAndValues{keys.k.detach().narrow(2, begin - first, tokens),
                        keys.v.detach().narrow(2, begin - first, tokens)},
          dtype_));
      begin = next;
    }
    now_.open_first = cache_of_last(keys, open);
  }
  now_.open = cache_of_last(pass_->open, open);
}

void FocusedMemoryState::commit() {
  if (!pass_) return;
  const at::NoGradGuard no_gradients;
  if (pass_->has_gradients) {
    before_ = now_;
  } else {
    before_.reset();
  }
  const ReadingWindows after = pass_->windows;
  if (after.open_begin() == now_.windows.open_begin()) {
    now_.open->commit();
    now_.open_first->commit();
  } else {
    close_windows(after);
  }
  now_.windows = after;
  pass_.reset();
}

std::shared_ptr<LayerState> FocusedMemoryState::fork() const {
  auto other = std::make_shared<FocusedMemoryState>(*this);
  other->pass_.reset();
  other->before_.reset();
  other->now_.open = forked(*now_.open);
  other->now_.open_first = forked(*now_.open_first);
  return other;
}

}  // namespace longspan
