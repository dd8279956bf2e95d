#pragma once

#include <ATen/core/Tensor.h>

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <filesystem>
#include <limits>
#include <map>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "src/nn/host_copies.h"
#include "src/nn/spill_file.h"

namespace longspan {

/// How much stays in RAM, and where the rest goes.
struct ActivationStoreOptions {
  int64_t ram_bytes = std::numeric_limits<int64_t>::max();  // bound of RAM; the rest goes to disk
  std::filesystem::path directory = {};                     // holds the file; empty: RAM only
  int64_t fetched_ahead = 2;  // tensors that are on their way back to a GPU before they are taken
};

/// Keeps tensors between forward and backward: in RAM up to a bound, beyond it in a file on disk
/// that one background thread writes and reads. On top of the bound come at most two tensors that
/// are being written, one that is read ahead, and one that is being taken. One thread at a time
/// uses the store.
///
/// Tensors of a GPU are copied to pinned RAM beside what it computes, and back (host_copies.h):
/// those in RAM begin their way back while those put after them are at work.
///
/// A tensor that could not be written (disk full, I/O error) stays in RAM, and the next put() or
/// take() throws Error(kFailure) that names the directory, the reason and the bytes free. Nothing
/// that was kept is lost by it.
class ActivationStore {
 public:
  using Ticket = int64_t;

  explicit ActivationStore(ActivationStoreOptions options);
  /// Drops all that was kept; waits for the block under way only.
  ~ActivationStore();
  ActivationStore(const ActivationStore&) = delete;
  ActivationStore& operator=(const ActivationStore&) = delete;

  /// Takes the tensor over: its storage is freed once it is on disk, or a GPU's in RAM, if no one
  /// else holds it. May return before that, and waits while two tensors are being written. Without
  /// a directory a tensor beyond the bound stays on its GPU; one of the CPU throws
  /// Error(kOutOfMemory).
  Ticket put(at::Tensor tensor);
  /// Gives the tensor back, bit for bit and on its device, and forgets it. Starts to read the
  /// tensor put before it, as backward goes in reverse. A block that differs from what was written
  /// throws Error(kFailure), a ticket that was taken before throws std::logic_error.
  at::Tensor take(Ticket ticket);

  /// What the store holds now: tensors kept, being written, and read ahead.
  int64_t bytes_in_ram() const { return locked(held_bytes_); }
  int64_t peak_bytes_in_ram() const { return locked(peak_held_bytes_); }
  /// What has gone to disk and come from it so far.
  int64_t bytes_written() const { return locked(written_bytes_); }
  int64_t bytes_read() const { return locked(read_bytes_); }

 private:
  // kWriting and kReading: in the queue or under way. kDevice: on the GPU that it came from.
  enum class Place { kRam, kWriting, kDisk, kReading, kReadAhead, kDevice };
  struct Entry {
    Place place = Place::kRam;
    at::Tensor tensor;                                // undefined while on disk only
    at::Device device = at::kCPU;                     // where it came from
    std::optional<HostCopies::Fetched> fetched = {};  // on its way back there
    std::vector<int64_t> sizes;
    at::ScalarType dtype = at::kFloat;
    int64_t bytes = 0, offset = 0;    // offset: in the file
    std::vector<uint32_t> checksums;  // of each block
    std::exception_ptr read_failure;
  };
  using Lock = std::unique_lock<std::mutex>;

  void serve();
  void write(Lock& lock, Entry& entry);
  void read(Lock& lock, Entry& entry);
  void start_write(Ticket ticket);
  void start_read(Ticket ticket);
  void read_ahead(Ticket taken);
  void abandon_write(Lock& lock, Ticket ticket);
  at::Tensor in_ram(const at::Tensor& tensor, bool read);
  at::Tensor on_device(Entry& entry, Ticket ticket);
  void hold(int64_t bytes);
  void throw_write_failure();
  int64_t count(Place place) const;
  int64_t end_of_file() const;
  template <class T>
  T locked(const T& value) const {
    Lock lock(mutex_);
    return value;
  }

  const ActivationStoreOptions options_;
  SpillFile file_;  // used by the thread only
  mutable std::mutex mutex_;
  std::condition_variable work_, done_;
  std::optional<HostCopies> copies_;  // made by the first tensor of a GPU
  std::map<Ticket, Entry> entries_;
  std::deque<Ticket> reads_, writes_;  // to do
  std::optional<Ticket> under_way_;    // what the thread writes or reads
  std::atomic<bool> abandoned_ = false, stopping_ = false;
  Ticket next_ = 0;
  int64_t kept_bytes_ = 0;  // of tensors in Place::kRam
  int64_t held_bytes_ = 0, peak_held_bytes_ = 0, written_bytes_ = 0, read_bytes_ = 0;
  std::exception_ptr write_failure_;
  std::thread thread_;  // started by the first write
};

}  // namespace longspan
