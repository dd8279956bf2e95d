#pragma once

#include <hdf5.h>

#include <mutex>
#include <string>
#include <utility>

namespace longspan {

/// Owns an HDF5 identifier; `close` is the H5?close that belongs to it.
class Hdf5Handle {
 public:
  Hdf5Handle() = default;
  Hdf5Handle(hid_t id, herr_t (*close)(hid_t)) : id_(id), close_(close) {}
  Hdf5Handle(Hdf5Handle&& other) noexcept
      : id_(std::exchange(other.id_, H5I_INVALID_HID)), close_(other.close_) {}
  Hdf5Handle& operator=(Hdf5Handle&& other) noexcept {
    std::swap(id_, other.id_);
    std::swap(close_, other.close_);
    return *this;
  }
  ~Hdf5Handle() { close(); }

  /// Negative when the call that made it failed.
  hid_t id() const { return id_; }
  bool valid() const { return id_ >= 0; }
  /// Whether closing succeeded; a handle that owns nothing is closed.
  bool close() {
    if (id_ < 0) return true;
    return close_(std::exchange(id_, H5I_INVALID_HID)) >= 0;
  }

 private:
  hid_t id_ = H5I_INVALID_HID;
  herr_t (*close_)(hid_t) = nullptr;
};

/// Makes HDF5 quiet on this thread and, while it lives, ours alone: Debian's build of the library
/// is not made for threads.
class Hdf5Lock {
 public:
  Hdf5Lock();

 private:
  std::lock_guard<std::recursive_mutex> guard_;
};

/// What HDF5 says of the call that just failed, innermost cause.
std::string hdf5_reason();

}  // namespace longspan
