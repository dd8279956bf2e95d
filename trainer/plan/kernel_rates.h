#pragma once

#include <filesystem>

#include "src/core/json.h"
#include "trainer/plan/run_shape.h"
#include "trainer/stage.h"

namespace longspan {

/// What this machine reaches with the kernels of a training step. The defaults are those of two
/// cores of an AMD EPYC with AVX-512 BF16 (docs/performance.md).
struct KernelRates {
  double linear_gflops = 750;           // y = x W^T at the model's widths
  double linear_backward_gflops = 700;  // grad_x = grad_y W
  double head_gflops = 700;             // logits
  double attention_forward_gflops = 600, attention_backward_gflops = 600;
  double elementwise_gb_per_second = 25;  // read and written by RMSNorm, SwiGLU and their like
  double disk_write_gb_per_second = 1, disk_read_gb_per_second = 1;
};

/// Those of two cores of this kind of processor or of an H100, to compare choices with where
/// nothing is measured.
KernelRates usual_rates(at::Device device);

/// Measures them in a few seconds on the shape's device, with the threads LibTorch has now: at the
/// model's widths (wide ones with fewer features), attention as the stages have it (where that
/// takes long with fewer heads, then shorter), and the disk of `directory` with a nameless file of
/// 256 MB (an empty one: not measured). GB is 1e9 bytes.
KernelRates measure_rates(const RunShape& shape, const std::vector<Stage>& stages,
                          const std::filesystem::path& directory);

Json write_rates(const KernelRates& rates);
/// Throws Error(kUsage) with all that is wrong; `place` names the file.
KernelRates read_rates(const Json& json, const std::string& place);

}  // namespace longspan
