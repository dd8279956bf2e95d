#include "src/nn/host_copies.h"

#include <ATen/ops/empty.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <utility>

namespace longspan {

HostCopies::HostCopies(at::Device device) : device_(device) {
  if (device.is_cpu()) return;
  stream_ = c10::impl::VirtualGuardImpl(device.type()).getStreamFromGlobalPool(device);
}

HostCopies::~HostCopies() {
  try {
    // Also for copies back: blocks that they read are given back next.
    if (stream_) stream_->synchronize();
  } catch (const c10::Error&) {  // of the GPU: whoever uses it next hears of it
  }
}

c10::Stream HostCopies::current() const {
  return c10::impl::VirtualGuardImpl(device_.type()).getStream(device_);
}

/// Runs copy() on the stream, after what the current one was given so far; the event says when it
/// is done.
template <class Copy>
std::optional<c10::Event> HostCopies::beside(const Copy& copy) const {
  if (!stream_) {
    copy();
    return {};
  }
  c10::Event given(device_.type());
  given.record(current());
  given.block(*stream_);
  {
    const c10::StreamGuard guard(*stream_);
    copy();
  }
  std::optional<c10::Event> done(device_.type());
  done->record(*stream_);
  return done;
}

at::Tensor HostCopies::to_host(const at::Tensor& x) {
  const at::Tensor from = x.contiguous();
  at::Tensor host = blocks_.take(from.sizes(), from.scalar_type());
  std::optional<c10::Event> done =
      beside([&] { host.copy_(from, /*non_blocking=*/stream_.has_value()); });
  under_way_.push_back({from, std::move(done)});
  let_go(kUnderWay);
  return host;
}

void HostCopies::finish() {
  for (const Fetched& copied : under_way_) {
    if (copied.ready) copied.ready->synchronize();
  }
  under_way_.clear();
}

/// Lets go of tensors whose memory the current stream may then use again, but for `left`.
void HostCopies::let_go(size_t left) {
  while (under_way_.size() > left) {
    use(std::move(under_way_.front()));
    under_way_.pop_front();
  }
}

HostCopies::Fetched HostCopies::to_device(const at::Tensor& host) {
  let_go(0);
  // Of the current stream, which uses and frees it.
  at::Tensor tensor = at::empty(host.sizes(), host.options().device(device_));
  std::optional<c10::Event> ready =
      beside([&] { tensor.copy_(host, /*non_blocking=*/stream_.has_value()); });
  return {std::move(tensor), std::move(ready)};
}

at::Tensor HostCopies::use(Fetched fetched) const {
  if (fetched.ready) fetched.ready->block(current());
  return std::move(fetched.tensor);
}

}  // namespace longspan
