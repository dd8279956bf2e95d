#pragma once

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <string>

#include "src/core/error.h"

namespace longspan {

/// A folder for one test, removed with all it holds.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    static int count = 0;
    path_ = std::filesystem::temp_directory_path() /
            fmt::format("longspan-test-{}-{}", getpid(), count++);
    std::filesystem::create_directories(path_);
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path_); }

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path file(const std::string& name, const std::string& content) const {
    std::ofstream(path_ / name, std::ios::binary) << content;
    return path_ / name;
  }

 private:
  std::filesystem::path path_;
};

/// The message of the Error(code) that `act` throws; anything else comes back as a note of it.
inline std::string error_of(const std::function<void()>& act, ExitCode code = ExitCode::kModel) {
  try {
    act();
  } catch (const Error& e) {
    return e.code() == code ? e.what() : fmt::format("code {}: {}", int(e.code()), e.what());
  }
  return "no error";
}

/// The bytes of a number, little-endian.
template <class T>
std::string bytes_of(T value) {
  return std::string(reinterpret_cast<const char*>(&value), sizeof value);
}

}  // namespace longspan
