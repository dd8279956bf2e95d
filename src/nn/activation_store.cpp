#include "src/nn/activation_store.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "src/core/error.h"
#include "src/core/text.h"

namespace longspan {

namespace {

constexpr int64_t kPageBytes = 4096;  // the page cache drops whole pages
constexpr int64_t kWritesUnderWay = 2;

/// act(first byte, bytes, index) for each block, until it returns false.
template <class Act>
bool for_each_block(int64_t bytes, Act act) {
  for (int64_t first = 0, index = 0; first < bytes; first += SpillFile::kBlockBytes, ++index) {
    if (!act(first, std::min(SpillFile::kBlockBytes, bytes - first), index)) return false;
  }
  return true;
}

}  // namespace

ActivationStore::ActivationStore(ActivationStoreOptions options)
    : options_(std::move(options)), file_(options_.directory, /*expected_bytes=*/0) {}

ActivationStore::~ActivationStore() {
  {
    Lock lock(mutex_);
    stopping_ = true;
  }
  work_.notify_one();
  if (thread_.joinable()) thread_.join();
}

ActivationStore::Ticket ActivationStore::put(at::Tensor tensor) {
  const at::Device device = tensor.device();
  const auto bytes = static_cast<int64_t>(tensor.nbytes());
  Lock lock(mutex_);
  throw_write_failure();
  const bool fits = bytes <= options_.ram_bytes - kept_bytes_;
  const bool to_disk = !fits && !options_.directory.empty();
  if (!fits && !to_disk && device.is_cpu()) {
    fail(ExitCode::kOutOfMemory,
         "memory.offload_ram: {} of activations are kept, {} more do not fit in {}; raise it, or "
         "set memory.offload to disk",
         human_bytes(kept_bytes_), human_bytes(bytes), human_bytes(options_.ram_bytes));
  }
  if (to_disk) {
    done_.wait(lock, [&] { return count(Place::kWriting) < kWritesUnderWay || write_failure_; });
    throw_write_failure();
  }
  if (fits || to_disk) tensor = in_ram(tensor, to_disk);
  const Ticket ticket = next_++;
  Entry& entry = entries_[ticket];
  entry.place = fits ? Place::kRam : Place::kDevice;
  entry.sizes = tensor.sizes().vec();
  entry.dtype = tensor.scalar_type();
  entry.device = device;
  entry.bytes = bytes;
  entry.tensor = tensor.detach();
  if (fits || to_disk) hold(bytes);
  if (fits) kept_bytes_ += bytes;
  if (to_disk) start_write(ticket);
  return ticket;
}

/// The tensor, or a copy of a GPU's; contiguous and there when it is to be `read` by the CPU.
at::Tensor ActivationStore::in_ram(const at::Tensor& tensor, bool read) {
  if (tensor.is_cpu()) return read ? tensor.contiguous() : tensor;
  if (!copies_) copies_.emplace(tensor.device());
  at::Tensor host = copies_->to_host(tensor);
  if (read) copies_->finish();
  return host;
}

at::Tensor ActivationStore::take(Ticket ticket) {
  Lock lock(mutex_);
  throw_write_failure();
  const auto found = entries_.find(ticket);
  if (found == entries_.end()) throw std::logic_error("no tensor is kept under this ticket");
  Entry& entry = found->second;
  if (entry.place == Place::kWriting) abandon_write(lock, ticket);
  if (entry.place == Place::kDisk) start_read(ticket);
  read_ahead(ticket);
  done_.wait(lock, [&] { return entry.place != Place::kReading; });
  if (entry.read_failure) std::rethrow_exception(entry.read_failure);
  if (entry.place == Place::kRam) kept_bytes_ -= entry.bytes;
  if (entry.place != Place::kDevice) held_bytes_ -= entry.bytes;
  at::Tensor tensor = entry.device.is_cpu() ? std::move(entry.tensor) : on_device(entry, ticket);
  entries_.erase(found);
  return tensor;
}

/// The entry's tensor where it came from. Those in RAM that were put before it begin their way.
at::Tensor ActivationStore::on_device(Entry& entry, Ticket ticket) {
  at::Tensor tensor = entry.tensor;
  if (entry.place != Place::kDevice) {
    if (!entry.fetched) entry.fetched = copies_->to_device(entry.tensor);
    tensor = copies_->use(std::move(*entry.fetched));
  }
  auto before = entries_.find(ticket);
  for (int64_t ahead = 0; ahead < options_.fetched_ahead && before != entries_.begin(); ++ahead) {
    Entry& next = (--before)->second;
    if (next.place != Place::kRam || next.device.is_cpu() || next.fetched) continue;
    next.fetched = copies_->to_device(next.tensor);
  }
  return tensor;
}

void ActivationStore::start_write(Ticket ticket) {
  Entry& entry = entries_.at(ticket);
  entry.offset = end_of_file();
  entry.place = Place::kWriting;
  writes_.push_back(ticket);
  if (!thread_.joinable()) thread_ = std::thread([this] { serve(); });
  work_.notify_one();
}

void ActivationStore::start_read(Ticket ticket) {
  Entry& entry = entries_.at(ticket);
  entry.place = Place::kReading;
  entry.read_failure = nullptr;
  reads_.push_back(ticket);
  work_.notify_one();
}

void ActivationStore::read_ahead(Ticket taken) {
  Ticket before = -1;
  for (const auto& [ticket, entry] : entries_) {
    if (ticket == taken) continue;
    if (entry.place == Place::kReading || entry.place == Place::kReadAhead) return;
    if (ticket < taken && entry.place == Place::kDisk) before = ticket;
  }
  if (before >= 0) start_read(before);
}

void ActivationStore::abandon_write(Lock& lock, Ticket ticket) {
  const auto queued = std::find(writes_.begin(), writes_.end(), ticket);
  if (queued == writes_.end()) {
    abandoned_ = true;
    done_.wait(lock, [&] { return under_way_ != ticket; });
    abandoned_ = false;
    return;
  }
  writes_.erase(queued);
  Entry& entry = entries_.at(ticket);
  entry.place = Place::kRam;
  kept_bytes_ += entry.bytes;
}

void ActivationStore::serve() {
  Lock lock(mutex_);
  while (true) {
    work_.wait(lock, [&] { return stopping_ || !reads_.empty() || !writes_.empty(); });
    if (stopping_) return;
    std::deque<Ticket>& queue = reads_.empty() ? writes_ : reads_;  // reads are waited for
    under_way_ = queue.front();
    queue.pop_front();
    Entry& entry = entries_.at(*under_way_);  // take() does not erase it before it is done
    if (entry.place == Place::kWriting) {
      write(lock, entry);
    } else {
      read(lock, entry);
    }
    under_way_.reset();
    done_.notify_one();
  }
}

void ActivationStore::write(Lock& lock, Entry& entry) {
  const char* data = static_cast<const char*>(entry.tensor.const_data_ptr());
  std::vector<uint32_t> checksums;
  std::exception_ptr failure;
  bool whole = false;
  int64_t written = 0;
  lock.unlock();
  try {
    whole = for_each_block(entry.bytes, [&](int64_t first, int64_t bytes, int64_t) {
      if (abandoned_ || stopping_) return false;
      checksums.push_back(file_.write(data + first, bytes, entry.offset + first));
      written += bytes;
      return true;
    });
  } catch (...) {
    failure = std::current_exception();
  }
  lock.lock();
  written_bytes_ += written;
  if (failure) write_failure_ = failure;
  if (!whole) {
    entry.place = Place::kRam;
    kept_bytes_ += entry.bytes;
    return;
  }
  entry.place = Place::kDisk;
  entry.checksums = std::move(checksums);
  entry.tensor.reset();
  held_bytes_ -= entry.bytes;
}

void ActivationStore::read(Lock& lock, Entry& entry) {
  hold(entry.bytes);
  at::Tensor tensor;
  std::exception_ptr failure;
  int64_t read = 0;
  lock.unlock();
  try {
    tensor = at::empty(entry.sizes, entry.dtype);
    char* data = static_cast<char*>(tensor.mutable_data_ptr());
    for_each_block(entry.bytes, [&](int64_t first, int64_t bytes, int64_t index) {
      if (stopping_) return false;
      file_.read(data + first, bytes, entry.offset + first, entry.checksums[index]);
      read += bytes;
      return true;
    });
  } catch (...) {
    failure = std::current_exception();
  }
  lock.lock();
  read_bytes_ += read;
  if (failure) {
    entry.place = Place::kDisk;
    entry.read_failure = failure;
    held_bytes_ -= entry.bytes;
    return;
  }
  entry.place = Place::kReadAhead;
  entry.tensor = tensor;
}

void ActivationStore::hold(int64_t bytes) {
  held_bytes_ += bytes;
  peak_held_bytes_ = std::max(peak_held_bytes_, held_bytes_);
}

void ActivationStore::throw_write_failure() {
  if (write_failure_) std::rethrow_exception(std::exchange(write_failure_, nullptr));
}

int64_t ActivationStore::count(Place place) const {
  return std::count_if(entries_.begin(), entries_.end(),
                       [&](const auto& named) { return named.second.place == place; });
}

int64_t ActivationStore::end_of_file() const {
  int64_t end = 0;
  for (const auto& [ticket, entry] : entries_) {
    const bool in_file = entry.place == Place::kWriting || entry.place == Place::kDisk ||
                         entry.place == Place::kReading;
    if (!in_file) continue;
    end = std::max(end, entry.offset + entry.bytes);
  }
  return (end + kPageBytes - 1) / kPageBytes * kPageBytes;
}

}  // namespace longspan
