#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "src/core/error.h"

namespace longspan {

/// A folder that lives as long as the test.
class TemporaryFolder {
 public:
  TemporaryFolder()
      : path_(std::filesystem::temp_directory_path() /
              ("longspan-data-" + std::to_string(getpid()) + "-" +
               testing::UnitTest::GetInstance()->current_test_info()->name())) {
    std::filesystem::create_directories(path_);
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  std::string path(const std::string& name) const { return (path_ / name).string(); }
  std::string write(const std::string& name, const std::string& bytes) const {
    std::filesystem::create_directories((path_ / name).parent_path());
    std::ofstream(path_ / name, std::ios::binary) << bytes;
    return path(name);
  }

 private:
  std::filesystem::path path_;
};

/// The exit code of the Error that `action` throws, 0 when it throws none; its message in `what`.
template <class Action>
int exit_code_of(Action&& action, std::string* what = nullptr) {
  try {
    action();
  } catch (const Error& e) {
    if (what != nullptr) *what = e.what();
    return static_cast<int>(e.code());
  }
  return 0;
}

}  // namespace longspan
