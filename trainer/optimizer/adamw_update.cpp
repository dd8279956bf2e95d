#include "trainer/optimizer/adamw_update.h"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/bucketize.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/full.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <optional>
#include <unordered_map>
#include <vector>

#include "src/nn/kernels/elementwise.h"
#include "src/nn/nf4.h"

namespace longspan {

namespace {

static_assert(AdamWMoments::kBlock == BlockwiseMoment::kBlock);
constexpr int64_t kGrain = int64_t{1} << 16;  // elements; whole blocks of 256

/// Those for this gradient; null where LibTorch does the work.
const elementwise::Kernels* kernels_for(const at::Tensor& gradient) {
  return gradient.is_contiguous() ? elementwise::kernels_for(gradient) : nullptr;
}

/// act(begin, end) for chunks of `size` elements, in parallel.
template <class Act>
void for_each_chunk(int64_t size, Act act) {
  const int64_t chunks = (size + kGrain - 1) / kGrain;
  at::parallel_for(0, chunks, 1, [&](int64_t first, int64_t last) {
    for (int64_t chunk = first; chunk < last; ++chunk) {
      act(chunk * kGrain, std::min(size, (chunk + 1) * kGrain));
    }
  });
}

AdamWCoefficients coefficients(const AdamWStep& s) {
  const auto steps = static_cast<double>(s.step);
  return {.beta1 = static_cast<float>(s.beta1),
          .beta2 = static_cast<float>(s.beta2),
          .eps = static_cast<float>(s.eps),
          .decay = static_cast<float>(1 - s.lr * s.weight_decay),
          .step_size = static_cast<float>(s.lr / (1 - std::pow(s.beta1, steps))),
          .bias_correction2_sqrt = static_cast<float>(std::sqrt(1 - std::pow(s.beta2, steps))),
          .gradient_scale = static_cast<float>(s.gradient_scale)};
}

using Bounds = std::array<float, 255>;

/// Half way between neighbours; a value on a bound takes the lower code.
Bounds bounds_of(const std::array<float, 256>& map) {
  Bounds bounds{};
  for (size_t i = 0; i < bounds.size(); ++i) bounds[i] = (map[i] + map[i + 1]) / 2;
  return bounds;
}

BoundTable table_of(const Bounds& bounds) {
  BoundTable table{};
  std::copy(bounds.begin(), bounds.end(), table.bounds);
  table.bounds[bounds.size()] = std::numeric_limits<float>::infinity();
  // The least magnitude of a bucket; the first holds all smaller ones too.
  const auto least = [](int bucket) {
    return std::bit_cast<float>(static_cast<uint32_t>(BoundTable::kLeastBits + bucket) << 16);
  };
  for (int bucket = 0; bucket < BoundTable::kBuckets; ++bucket) {
    const float from = bucket == 0 ? 0 : least(bucket), to = least(bucket + 1);  // to is not in it
    const auto below = std::lower_bound(bounds.begin(), bounds.end(), from);
    const auto below_negative = std::upper_bound(bounds.begin(), bounds.end(), -to);
    table.below[bucket] = static_cast<uint8_t>(below - bounds.begin());
    table.below[BoundTable::kBuckets + bucket] =
        static_cast<uint8_t>(below_negative - bounds.begin());
    const bool one_at_most =
        std::lower_bound(below, bounds.end(), to) - below <= 1 &&
        std::lower_bound(below_negative, bounds.end(), -from) - below_negative <= 1;
    TORCH_INTERNAL_ASSERT(one_at_most, "bounds are too close for a BoundTable");
  }
  return table;
}

const BoundTable& first_bounds() {
  static const BoundTable table = table_of(bounds_of(dynamic_map()));
  return table;
}

const BoundTable& second_bounds() {
  static const BoundTable table = [] {
    Bounds half_way = bounds_of(unsigned_dynamic_map());
    half_way[0] = 0;  // so that what is above 0 stays there
    return table_of(half_way);
  }();
  return table;
}

BlockwiseMoment first_moment(const AdamWMoments& moments) {
  return {moments.exp_avg.mutable_data_ptr<uint8_t>(),
          moments.exp_avg_absmax.mutable_data_ptr<float>(), dynamic_map().data(), &first_bounds()};
}

BlockwiseMoment second_moment(const AdamWMoments& moments) {
  return {moments.exp_avg_sq.mutable_data_ptr<uint8_t>(),
          moments.exp_avg_sq_absmax.mutable_data_ptr<float>(), unsigned_dynamic_map().data(),
          &second_bounds()};
}

/// What both moments need where LibTorch does the work.
struct MomentMap {
  at::Tensor values, bounds;  // [256], [255]

  MomentMap(const std::array<float, 256>& map, const BoundTable& table, at::Device device)
      : values(at::from_blob(const_cast<float*>(map.data()), {256}, at::kFloat).to(device)),
        bounds(at::from_blob(const_cast<float*>(table.bounds), {255}, at::kFloat).to(device)) {}
};

struct MomentMaps {
  MomentMap first, second;
};

/// Copied to a device once: a copy waits for all that a GPU was told to do.
const MomentMaps& moment_maps(at::Device device) {
  // Never freed: CUDA ends before what is static.
  static auto* const maps = new std::unordered_map<at::Device, MomentMaps>;
  const auto known = maps->find(device);
  if (known != maps->end()) return known->second;
  return maps
      ->emplace(device, MomentMaps{{dynamic_map(), first_bounds(), device},
                                   {unsigned_dynamic_map(), second_bounds(), device}})
      .first->second;
}

/// [blocks, 256] of [n], the last block filled up with zeros.
at::Tensor in_blocks(const at::Tensor& flat) {
  const int64_t missing =
      (AdamWMoments::kBlock - flat.numel() % AdamWMoments::kBlock) % AdamWMoments::kBlock;
  return (missing > 0 ? at::constant_pad_nd(flat, {0, missing}) : flat)
      .view({-1, AdamWMoments::kBlock});
}

at::Tensor decode(const at::Tensor& codes, const at::Tensor& absmax, const MomentMap& map) {
  return in_blocks(at::index_select(map.values, 0, codes.to(at::kInt))) * absmax.unsqueeze(1);
}

void encode(const at::Tensor& blocks, const MomentMap& map, at::Tensor codes, at::Tensor absmax) {
  const at::Tensor largest = blocks.abs().amax({1}, /*keepdim=*/true);
  const at::Tensor scaled = blocks * largest.clamp_min(1e-38).reciprocal();
  codes.copy_(
      at::bucketize(scaled, map.bounds, /*out_int32=*/true).flatten().narrow(0, 0, codes.numel()));
  absmax.copy_(largest.squeeze(1));
}

/// What the kernel does, for any device and processor.
void update_8bit(const AdamWCoefficients& c, const at::Tensor& gradient,
                 const AdamWMoments& moments, const at::Tensor& master) {
  constexpr int64_t kAtOnce = int64_t{1} << 24;  // whole blocks, of a gigabyte of intermediates
  const auto& [first, second] = moment_maps(master.device());
  for (int64_t begin = 0; begin < master.numel(); begin += kAtOnce) {
    const int64_t count = std::min(kAtOnce, master.numel() - begin);
    const auto part = [&](const at::Tensor& x) { return x.view(-1).narrow(0, begin, count); };
    const auto scales = [&](const at::Tensor& absmax) {
      return absmax.slice(0, begin / AdamWMoments::kBlock,
                          (begin + count + AdamWMoments::kBlock - 1) / AdamWMoments::kBlock);
    };
    const at::Tensor exp_avg = part(moments.exp_avg), exp_avg_sq = part(moments.exp_avg_sq);
    const at::Tensor m_scale = scales(moments.exp_avg_absmax),
                     v_scale = scales(moments.exp_avg_sq_absmax);
    const at::Tensor g = in_blocks(part(gradient)) * c.gradient_scale;
    at::Tensor m = decode(exp_avg, m_scale, first), v = decode(exp_avg_sq, v_scale, second);
    m.add_((g - m) * (1 - c.beta1));
    v.mul_(c.beta2).add_(g * g * (1 - c.beta2));
    const at::Tensor step = m * c.step_size / (v.sqrt() / c.bias_correction2_sqrt + c.eps);
    part(master).mul_(c.decay).sub_(step.flatten().narrow(0, 0, count));
    encode(m, first, exp_avg, m_scale);
    encode(v, second, exp_avg_sq, v_scale);
  }
}

void update_in_one_pass(const elementwise::Kernels& kernels, const AdamWStep& step,
                        const at::Tensor& gradient, const AdamWMoments& moments,
                        const at::Tensor& master, const at::Tensor& parameter) {
  const AdamWCoefficients c = coefficients(step);
  const bool same = parameter.is_alias_of(master);
  const AdamWWeight weight{
      gradient.const_data_ptr(), master.mutable_data_ptr<float>(),
      same ? nullptr : reinterpret_cast<uint16_t*>(parameter.mutable_data_ptr<at::BFloat16>())};
  if (moments.in_8bit()) {
    const BlockwiseMoment exp_avg = first_moment(moments), exp_avg_sq = second_moment(moments);
    for_each_chunk(gradient.numel(), [&](int64_t begin, int64_t end) {
      kernels.adamw_update_8bit(c, weight, exp_avg, exp_avg_sq, begin, end);
    });
    return;
  }
  auto* exp_avg = moments.exp_avg.mutable_data_ptr<float>();
  auto* exp_avg_sq = moments.exp_avg_sq.mutable_data_ptr<float>();
  for_each_chunk(gradient.numel(), [&](int64_t begin, int64_t end) {
    kernels.adamw_update(c, weight, exp_avg, exp_avg_sq, begin, end);
  });
}

void update_on_any_processor(const AdamWStep& step, const at::Tensor& gradient,
                             const AdamWMoments& moments, const at::Tensor& master) {
  at::Tensor g = gradient.to(at::kFloat, /*non_blocking=*/false, /*copy=*/true).contiguous();
  if (!moments.in_8bit()) {
    const at::Tensor steps =
        at::full({}, static_cast<double>(step.step), master.options().requires_grad(false));
    at::_fused_adamw_({master}, {g.mul_(step.gradient_scale)}, {moments.exp_avg},
                      {moments.exp_avg_sq}, {}, {steps}, step.lr, step.beta1, step.beta2,
                      step.weight_decay, step.eps,
                      /*amsgrad=*/false, /*maximize=*/false);
    return;
  }
  update_8bit(coefficients(step), g, moments, master);
}

}  // namespace

AdamWMoments zero_moments(const at::Tensor& weight, int64_t state_bits) {
  const auto zeros = [&](at::ScalarType dtype) {
    return at::zeros(weight.sizes(), weight.options().dtype(dtype).requires_grad(false));
  };
  if (state_bits == 32 || weight.numel() < AdamWMoments::kSmallest8bit) {
    return {.exp_avg = zeros(at::kFloat), .exp_avg_sq = zeros(at::kFloat)};
  }
  const int64_t blocks = (weight.numel() + AdamWMoments::kBlock - 1) / AdamWMoments::kBlock;
  const auto zeros_of_blocks = [&] {
    return at::zeros({blocks}, at::TensorOptions(weight.device()).dtype(at::kFloat));
  };
  return {.exp_avg = zeros(at::kByte),
          .exp_avg_sq = zeros(at::kByte),
          .exp_avg_absmax = zeros_of_blocks(),
          .exp_avg_sq_absmax = zeros_of_blocks()};
}

void convert_moments(const AdamWMoments& from, const AdamWMoments& to) {
  const auto convert = [&](const at::Tensor& codes_or_values, const at::Tensor& absmax,
                           const MomentMap& map, const at::Tensor& out,
                           const at::Tensor& out_absmax) {
    if (from.in_8bit()) {
      out.view(-1).copy_(
          decode(codes_or_values.view(-1), absmax, map).view(-1).narrow(0, 0, out.numel()));
    } else {
      encode(in_blocks(codes_or_values.view(-1)), map, out.view(-1), out_absmax);
    }
  };
  const auto& [first, second] = moment_maps(to.exp_avg.device());
  convert(from.exp_avg, from.exp_avg_absmax, first, to.exp_avg, to.exp_avg_absmax);
  convert(from.exp_avg_sq, from.exp_avg_sq_absmax, second, to.exp_avg_sq, to.exp_avg_sq_absmax);
}

void adamw_update(const AdamWStep& step, const at::Tensor& gradient, const AdamWMoments& moments,
                  const at::Tensor& master, const at::Tensor& parameter) {
  const bool same = parameter.is_alias_of(master);
  const bool in_bf16 =
      parameter.is_cpu() && parameter.scalar_type() == at::kBFloat16 && parameter.is_contiguous();
  const elementwise::Kernels* kernels = kernels_for(gradient);
  if (kernels != nullptr && (same || in_bf16)) {
    update_in_one_pass(*kernels, step, gradient, moments, master, parameter);
    return;
  }
  update_on_any_processor(step, gradient, moments, master);
  if (!same) parameter.copy_(master);
}

double sum_of_squares(const at::Tensor& gradient) {
  const elementwise::Kernels* kernels = kernels_for(gradient);
  if (kernels == nullptr) {
    // LibTorch copies a gradient to float64 first, for which a GPU has no room.
    const auto dtype = gradient.is_cpu() ? at::kDouble : at::kFloat;
    const double norm =
        at::linalg_vector_norm(gradient, 2, std::nullopt, false, dtype).item<double>();
    return norm * norm;
  }
  std::vector<double> sums((gradient.numel() + kGrain - 1) / kGrain);
  for_each_chunk(gradient.numel(), [&](int64_t begin, int64_t end) {
    sums[begin / kGrain] = kernels->sum_of_squares(gradient.const_data_ptr(), begin, end);
  });
  double sum = 0;
  for (double chunk : sums) sum += chunk;
  return sum;
}

}  // namespace longspan
