#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>

namespace longspan {

/// Records what LibTorch's operators and, on a GPU, its kernels and copies do when, until save():
/// by LibTorch's own profiler (Kineto).
class KinetoTrace {
 public:
  explicit KinetoTrace(at::Device device);
  ~KinetoTrace();
  KinetoTrace(const KinetoTrace&) = delete;
  KinetoTrace& operator=(const KinetoTrace&) = delete;

  /// Ends, and writes what chrome://tracing and Perfetto show.
  void save(const std::filesystem::path& file);

 private:
  bool records_ = true;
};

}  // namespace longspan
