#include "data/store/hdf5_handle.h"

#include <string_view>

namespace longspan {

namespace {

std::recursive_mutex& library_mutex() {
  static std::recursive_mutex mutex;
  return mutex;
}

herr_t keep_first(unsigned depth, const H5E_error2_t* error, void* text) {
  if (depth == 0 && error->desc != nullptr) *static_cast<std::string*>(text) = error->desc;
  return 0;
}

}  // namespace

Hdf5Lock::Hdf5Lock() : guard_(library_mutex()) {
  // Closing what is open is our handles' work; HDF5's own at exit crashes after a full disk.
  static const herr_t kLeaveOutExit = H5dont_atexit();
  (void)kLeaveOutExit;
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
}

std::string hdf5_reason() {
  std::string reason;
  // Walking upwards starts where the error was met.
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, keep_first, &reason);
  // Of a failed system call only what the system said; the rest is addresses and sizes.
  constexpr std::string_view kSystem = "error message = '";
  if (size_t at = reason.find(kSystem); at != reason.npos) {
    at += kSystem.size();
    reason = reason.substr(at, reason.find('\'', at) - at);
  }
  return reason.empty() ? "HDF5 gives no reason" : reason;
}

}  // namespace longspan
