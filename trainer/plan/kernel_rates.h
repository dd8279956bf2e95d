#pragma once

#include <filesystem>

#include "src/core/json.h"
#include "trainer/plan/run_shape.h"
#include "trainer/stage.h"

namespace longspan {

/// What a machine reaches with the kernels of a training step. The defaults are what two cores of
/// an AMD EPYC with AVX-512 BF16 reach.
struct KernelRates {
  double linear_gflops = 750;           // y = x W^T at the model's widths
  double linear_backward_gflops = 700;  // grad_x = grad_y W at the model's widths
  double head_gflops = 700;             // logits = x W^T at the vocabulary's width
  double attention_forward_gflops = 600, attention_backward_gflops = 600;
  double elementwise_gb_per_second = 25;  // read and written by RMSNorm, SwiGLU and their like
  double host_copy_gb_per_second = 20;    // from a GPU to pinned RAM, and back
  double disk_write_gb_per_second = 1, disk_read_gb_per_second = 1;
};

/// The rates that two cores of this kind of processor reach, or an H100: choices are compared by
/// them where nothing is measured.
KernelRates usual_rates(at::Device device);

/// Measures the rates in a few seconds on the shape's device, with the threads that LibTorch has
/// now. Linear layers have the model's widths and attention the patterns of the stages, both within
/// the limits of rate_samples.h. The disk of `directory` is measured with a nameless file of 256
/// MB; an empty `directory` is not measured. GB is 1e9 bytes.
KernelRates measure_rates(const RunShape& shape, const std::vector<Stage>& stages,
                          const std::filesystem::path& directory);

Json write_rates(const KernelRates& rates);
/// Throws Error(kUsage) with all that is wrong; `place` names the file. A file without
/// host_copy_gb_per_second, as versions before wrote them, leaves it as usual.
KernelRates read_rates(const Json& json, const std::string& place);

}  // namespace longspan
