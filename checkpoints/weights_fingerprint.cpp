#include "checkpoints/weights_fingerprint.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "checkpoints/dtype.h"
#include "checkpoints/mapped_file.h"
#include "checkpoints/model_source.h"
#include "src/core/digest.h"

namespace longspan {

namespace {

constexpr int64_t kRuns = 16, kRunBytes = 1024;
constexpr int64_t kMostQuantised = int64_t{1} << 28;  // numbers

bool is_quantised(const TensorInfo& info) { return !from_safetensors_dtype(info.dtype); }

/// 16 runs that begin with the first byte and end with the last, or all of a small tensor.
void add_sample(const at::Tensor& stored, Digest& hash) {
  const at::Tensor tensor = stored.contiguous();
  const auto size = static_cast<int64_t>(tensor.nbytes());
  const std::string_view bytes(static_cast<const char*>(tensor.const_data_ptr()), tensor.nbytes());
  if (size <= kRuns * kRunBytes) return hash.update(bytes);
  for (int64_t run = 0; run < kRuns; ++run) {
    hash.update(bytes.substr(run * (size - kRunBytes) / (kRuns - 1), kRunBytes));
  }
}

}  // namespace

std::string weights_fingerprint(const ModelSource& source) {
  std::vector<TensorInfo> tensors = source.tensors();
  std::sort(tensors.begin(), tensors.end(),
            [](const TensorInfo& a, const TensorInfo& b) { return a.name < b.name; });
  int64_t quantised = 0;
  for (const auto& info : tensors) quantised += is_quantised(info) ? info.numel() : 0;
  const int64_t every = quantised / kMostQuantised + 1;
  Digest hash;
  int64_t number = 0;  // of the quantised tensor
  for (const auto& info : tensors) {
    hash.update(fmt::format("{}\n{}\n{}\n", info.name, info.dtype, fmt::join(info.shape, " ")));
    if (is_quantised(info) && number++ % every != 0) continue;
    const at::Tensor tensor = source.tensor(info.name);
    add_sample(tensor, hash);
    if (auto bytes = mapped_bytes(tensor)) bytes->forget();
  }
  return hash.hex();
}

}  // namespace longspan
