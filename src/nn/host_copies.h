#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Event.h>
#include <c10/core/Stream.h>

#include <deque>
#include <optional>

#include "src/nn/pinned_blocks.h"

namespace longspan {

/// Copies tensors of a GPU to RAM and back on a stream of their own, beside what the GPU computes
/// on the thread's current one. That stream orders them: a copy back begins when the copy there is
/// done, and a block of RAM is written anew when it has been read. On the CPU every copy is done
/// when a call returns. For one thread at a time.
class HostCopies {
 public:
  explicit HostCopies(at::Device device);
  /// Waits for the copies, there and back.
  ~HostCopies();
  HostCopies(const HostCopies&) = delete;
  HostCopies& operator=(const HostCopies&) = delete;

  /// A copy of x in RAM, to be read by to_device() or after finish(). Holds on to x until it is
  /// made; when more than kUnderWay wait, the current stream waits for the first.
  at::Tensor to_host(const at::Tensor& x);
  /// Returns when all copies are there.
  void finish();

  /// A tensor of the device that is filled beside what the current stream does next.
  struct Fetched {
    at::Tensor tensor;
    std::optional<c10::Event> ready = {};  // none on the CPU
  };
  Fetched to_device(const at::Tensor& host);
  /// The tensor, for which the current stream waits.
  at::Tensor use(Fetched fetched) const;

  static constexpr size_t kUnderWay = 2;

 private:
  template <class Copy>
  std::optional<c10::Event> beside(const Copy& copy) const;
  c10::Stream current() const;
  void let_go(size_t left);

  const at::Device device_;
  std::optional<c10::Stream> stream_;  // none on the CPU
  PinnedBlocks blocks_;
  std::deque<Fetched> under_way_;  // to RAM: what is copied, and when it is done
};

}  // namespace longspan
