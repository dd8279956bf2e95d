#include "trainer/eval/arms/rolling_cache.h"

#include <ATen/ops/cat.h>
#include <fmt/format.h>

#include <stdexcept>

namespace longspan {

KeysAndValues RollingCache::read(int64_t first_position, const at::Tensor& k, const at::Tensor& v) {
  if (first_position != length()) {
    throw std::logic_error(fmt::format(
        "RollingCache: a pass begins at position {}, after {} tokens", first_position, length()));
  }
  return cache_->read(first_position - dropped_, k, v);
}

void RollingCache::commit() {
  cache_->commit();
  const int64_t needed = sinks_ + recent_, held = cache_->length();
  if (held <= needed + needed / 4) return;
  auto rolled = std::make_shared<KeyValueCache>();
  if (needed > 0) {
    const KeysAndValues all = cache_->committed();
    const auto kept_of = [&](const at::Tensor& x) {
      return at::cat({x.narrow(2, 0, sinks_), x.narrow(2, held - recent_, recent_)}, 2);
    };
    rolled->read(0, kept_of(all.k), kept_of(all.v));
    rolled->commit();
  }
  cache_ = std::move(rolled);
  dropped_ += held - needed;
}

std::shared_ptr<LayerState> RollingCache::fork() const {
  auto other = std::make_shared<RollingCache>(*this);
  other->cache_ = std::static_pointer_cast<KeyValueCache>(cache_->fork());
  return other;
}

}  // namespace longspan
