#include "trainer/plan/kernel_rates.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <functional>
#include <map>
#include <vector>

#include "src/core/fields.h"
#include "src/core/processor.h"
#include "src/core/stopwatch.h"
#include "src/nn/device.h"
#include "src/nn/spill_file.h"
#include "src/nn/swiglu.h"
#include "trainer/plan/rate_samples.h"
#include "trainer/plan/real.h"

namespace longspan {

namespace {

struct NamedRate {
  const char* key;
  double KernelRates::*rate;
};
constexpr NamedRate kRates[] = {
    {"linear_gflops", &KernelRates::linear_gflops},
    {"linear_backward_gflops", &KernelRates::linear_backward_gflops},
    {"head_gflops", &KernelRates::head_gflops},
    {"attention_forward_gflops", &KernelRates::attention_forward_gflops},
    {"attention_backward_gflops", &KernelRates::attention_backward_gflops},
    {"elementwise_gb_per_second", &KernelRates::elementwise_gb_per_second},
    {"host_copy_gb_per_second", &KernelRates::host_copy_gb_per_second},
    {"disk_write_gb_per_second", &KernelRates::disk_write_gb_per_second},
    {"disk_read_gb_per_second", &KernelRates::disk_read_gb_per_second},
};

constexpr int64_t kDiskBytes = int64_t{256} << 20, kHostCopyBytes = kDiskBytes;

double seconds_of_one(const std::function<void()>& work, at::Device device = at::kCPU) {
  const Stopwatch stopwatch;
  work();
  synchronize(device);
  return stopwatch.seconds();
}

/// After one run that warms up, the mean of two: a step, too, takes what the machine's other guests
/// leave it. What takes long runs once.
double seconds_of(const RunShape& shape, const std::function<void()>& work) {
  constexpr double kLongSeconds = 2;
  synchronize(shape.device);
  const double first = seconds_of_one(work, shape.device);
  if (shape.device.is_cpu() && first >= kLongSeconds) return first;  // a GPU loads its libraries
  return (seconds_of_one(work, shape.device) + seconds_of_one(work, shape.device)) / 2;
}

/// Random numbers: a CPU draws them faster in float32, a GPU may lack the room for both.
at::Tensor random(const RunShape& shape, at::IntArrayRef sizes) {
  if (!shape.device.is_cpu()) {
    return at::randn(sizes, at::TensorOptions(shape.device).dtype(shape.dtype));
  }
  return at::randn(sizes, at::TensorOptions(shape.device).dtype(at::kFloat)).to(shape.dtype);
}

/// All shapes of the layer, each as often as it is there.
void measure_linears(const RunShape& shape, const SampleLimits& limits, KernelRates& rates) {
  std::map<std::pair<int64_t, int64_t>, int> shapes;
  for (const auto& p : shape.projections) ++shapes[{p.in_features, p.out_features}];
  double gflop = 0, forward = 0, backward = 0;
  for (const auto& [size, count] : shapes) {
    const LinearShape whole{limits.tokens, size.first, size.second};
    const LinearShape part = measured_linear(whole, limits, shape.element_bytes());
    const at::Tensor x = random(shape, {part.rows, part.in}),
                     y = random(shape, {part.rows, part.out});
    const at::Tensor weight = random(shape, {part.out, part.in});
    const double times = count * whole.gflop() / part.gflop();
    forward += times * seconds_of(shape, [&] { at::linear(x, weight); });
    backward += times * seconds_of(shape, [&] { at::mm(y, weight); });
    gflop += count * whole.gflop();
  }
  rates.linear_gflops = gflop / forward;
  rates.linear_backward_gflops = gflop / backward;

  const int64_t rows = std::min<int64_t>(shape.loss_chunk_tokens, 512);
  const LinearShape head = measured_linear(
      {rows, shape.config.hidden_size, shape.config.vocab_size}, limits, shape.element_bytes());
  const at::Tensor hidden = random(shape, {head.rows, head.in});
  const at::Tensor weight = random(shape, {head.out, head.in});
  rates.head_gflops = head.gflop() / seconds_of(shape, [&] { at::linear(hidden, weight); });
}

/// GFLOP forward and seconds of attention.
struct AttentionSample {
  double gflop = 0, forward = 0, backward = 0;

  void add(const AttentionSample& other, double times) {
    gflop += times * other.gflop;
    forward += times * other.forward;
    backward += times * other.backward;
  }
};

AttentionSample measure_layer(const RunShape& shape, const SampleLimits& limits,
                              const AttentionPattern& pattern, int64_t layer, int64_t seq_len) {
  const AttentionShape measured = measured_attention(shape, pattern, layer, seq_len, limits);
  const int64_t head_dim = shape.config.head_dim;
  const auto heads = [&](int64_t count) {
    return random(shape, {measured.rows, measured.length, count, head_dim}).transpose(1, 2);
  };
  const auto operand = [&](int64_t count) { return heads(count).requires_grad_(true); };
  const Heads operands{operand(measured.query_heads), operand(measured.key_value_heads),
                       operand(measured.key_value_heads)};
  const at::Tensor grad = heads(measured.query_heads);
  const Rotary no_rotation;
  at::AutoGradMode with_gradients(true);
  const auto attend = [&] {
    return pattern.attend(operands, {.rotary = no_rotation,
                                     .document_ids = {},
                                     .layer = layer,
                                     .passage_rows = pattern.passage_rows()});
  };
  const double forward = seconds_of(shape, [&] { attend(); });
  const double both = seconds_of(shape, [&] { attend().backward(grad); });
  return {forward_gflop(shape, pattern, measured), forward, std::max(1e-9, both - forward)};
}

/// A pass of a stage, from a layer of each kind: layers that score as many pairs are of one kind.
AttentionSample measure_attention(const RunShape& shape, const SampleLimits& limits,
                                  const Stage& stage) {
  struct Kind {
    int64_t layer;  // the first
    int64_t layers = 0;
  };
  const AttentionPattern& pattern = *stage.attention;
  std::map<int64_t, Kind> kinds;  // by the pairs of a layer
  for (int64_t layer = 0; layer < shape.config.num_hidden_layers; ++layer) {
    const int64_t pairs = pattern.trained_pairs(layer, stage.batch_size, stage.seq_len,
                                                shape.config.num_attention_heads);
    ++kinds.try_emplace(pairs, Kind{layer}).first->second.layers;
  }
  AttentionSample pass;
  for (const auto& [pairs, kind] : kinds) {
    const AttentionSample sample = measure_layer(shape, limits, pattern, kind.layer, stage.seq_len);
    const double gflop = 4e-9 * real(shape.config.head_dim) * real(pairs) * real(kind.layers);
    pass.add(sample, gflop / sample.gflop);
  }
  return pass;
}

void measure_elementwise(const RunShape& shape, const SampleLimits& limits, KernelRates& rates) {
  const std::vector<int64_t> sizes{measured_elementwise_rows(shape, limits),
                                   shape.config.intermediate_size};
  const at::Tensor gate = random(shape, sizes).requires_grad_(true);
  const at::Tensor up = random(shape, sizes).requires_grad_(true);
  const at::Tensor grad = random(shape, sizes);
  at::AutoGradMode with_gradients(true);
  const double seconds = seconds_of(shape, [&] {
    swiglu(gate, up).backward(grad);
    gate.mutable_grad().reset();
    up.mutable_grad().reset();
  });
  // Three tensors forward, five backward.
  rates.elementwise_gb_per_second = 1e-9 * 8 * static_cast<double>(grad.nbytes()) / seconds;
}

/// The mean of both directions, through pinned memory.
void measure_host_copy(const RunShape& shape, KernelRates& rates) {
  const at::TensorOptions bytes = at::TensorOptions(at::kByte);
  at::Tensor device = at::empty({kHostCopyBytes}, bytes.device(shape.device));
  at::Tensor host = at::empty({kHostCopyBytes}, bytes.pinned_memory(true));
  const double seconds = seconds_of(shape, [&] {
    host.copy_(device, /*non_blocking=*/true);
    device.copy_(host, /*non_blocking=*/true);
  });
  rates.host_copy_gb_per_second = 2e-9 * static_cast<double>(kHostCopyBytes) / seconds;
}

void measure_disk(const std::filesystem::path& directory, KernelRates& rates) {
  SpillFile file(directory, kDiskBytes);
  const std::vector<char> block(SpillFile::kBlockBytes, 'x');
  std::vector<char> read(SpillFile::kBlockBytes);
  std::vector<uint32_t> checksums;
  const double writing = seconds_of_one([&] {
    for (int64_t at = 0; at < kDiskBytes; at += SpillFile::kBlockBytes) {
      checksums.push_back(file.write(block.data(), SpillFile::kBlockBytes, at));
    }
  });
  const double reading = seconds_of_one([&] {
    for (size_t i = 0; i < checksums.size(); ++i) {
      file.read(read.data(), SpillFile::kBlockBytes,
                static_cast<int64_t>(i) * SpillFile::kBlockBytes, checksums[i]);
    }
  });
  rates.disk_write_gb_per_second = 1e-9 * static_cast<double>(kDiskBytes) / writing;
  rates.disk_read_gb_per_second = 1e-9 * static_cast<double>(kDiskBytes) / reading;
}

}  // namespace

KernelRates usual_rates(at::Device device) {
  if (device.is_cuda()) {
    return {.linear_gflops = 500e3,
            .linear_backward_gflops = 500e3,
            .head_gflops = 500e3,
            .attention_forward_gflops = 300e3,
            .attention_backward_gflops = 250e3,
            .elementwise_gb_per_second = 1500};
  }
  if (processor() == Processor::kAmx) {
    // Two cores of an Intel Xeon of 2023.
    return {.linear_gflops = 1700,
            .linear_backward_gflops = 1700,
            .head_gflops = 1500,
            .attention_forward_gflops = 450,
            .attention_backward_gflops = 290};
  }
  if (processor() == Processor::kAvx512Bf16) return {};
  // Two cores of an AMD EPYC with AVX2 (docs/performance.md).
  return {.linear_gflops = 140,
          .linear_backward_gflops = 140,
          .head_gflops = 130,
          .attention_forward_gflops = 135,
          .attention_backward_gflops = 130,
          .elementwise_gb_per_second = 13};
}

KernelRates measure_rates(const RunShape& shape, const std::vector<Stage>& stages,
                          const std::filesystem::path& directory) {
  at::NoGradGuard no_gradients;
  KernelRates rates;
  const SampleLimits limits =
      sample_limits(shape.device, shape.device.is_cpu() ? 0 : available_memory_bytes(shape.device));
  measure_linears(shape, limits, rates);
  measure_elementwise(shape, limits, rates);
  if (!shape.device.is_cpu()) measure_host_copy(shape, rates);
  std::vector<std::string> measured;
  AttentionSample sum;
  for (const Stage& stage : stages) {
    const std::string pattern =
        std::string(stage.attention->name()) + stage.attention->write().dump();
    if (std::find(measured.begin(), measured.end(), pattern) != measured.end()) continue;
    measured.push_back(pattern);
    sum.add(measure_attention(shape, limits, stage), 1);
  }
  rates.attention_forward_gflops = sum.gflop / sum.forward;
  rates.attention_backward_gflops = 2.5 * sum.gflop / sum.backward;
  if (!directory.empty()) measure_disk(directory, rates);
  return rates;
}

Json write_rates(const KernelRates& rates) {
  Json json;
  for (const auto& [key, rate] : kRates) json[key] = rates.*rate;
  return json;
}

KernelRates read_rates(const Json& json, const std::string& place) {
  KernelRates rates;
  Diagnostics diagnostics(place);
  Fields fields(json, diagnostics);
  for (const auto& [key, rate] : kRates) {
    if (fields.has(key)) {
      fields.in_range(key, rates.*rate, 1e-3, 1e9);
    } else if (rate != &KernelRates::host_copy_gb_per_second) {
      fields.error(key, "is missing");
    }
  }
  fields.finish();
  diagnostics.throw_if_any(ExitCode::kUsage);
  return rates;
}

}  // namespace longspan
