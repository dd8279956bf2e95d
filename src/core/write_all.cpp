#include "src/core/write_all.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "src/core/error.h"

namespace longspan {

void write_all(int file, const void* bytes, size_t count, int64_t& size,
               const std::filesystem::path& place, std::string_view next_step) {
  const char* at = static_cast<const char*>(bytes);
  while (count > 0) {
    ssize_t written = ::write(file, at, count);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) {
      fail(ExitCode::kFailure, "{}: cannot write after {} bytes: {}; {}", place.string(), size,
           std::strerror(errno), next_step);
    }
    at += written;
    count -= static_cast<size_t>(written);
    size += written;
  }
}

}  // namespace longspan
