#include "trainer/adamw_update.h"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/full.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <vector>

#include "src/attention/kernels/bf16_tensor.h"
#include "src/nn/kernels/adamw_bf16.h"
#include "src/nn/nf4.h"

namespace longspan {

namespace {

static_assert(AdamWMoments::kBlock == BlockwiseMoment::kBlock);
constexpr int64_t kGrain = int64_t{1} << 16;  // elements; whole blocks of 256

bool runs_kernel(const at::Tensor& gradient) {
  return has_avx512_bf16() && gradient.is_cpu() && gradient.is_contiguous() &&
         (gradient.scalar_type() == at::kFloat || gradient.scalar_type() == at::kBFloat16);
}

/// act(first element, elements, gradient's pointer at the first), in parallel.
template <class Act>
void for_each_chunk(const at::Tensor& gradient, Act act) {
  const int64_t size = gradient.numel(), chunks = (size + kGrain - 1) / kGrain;
  at::parallel_for(0, chunks, 1, [&](int64_t begin, int64_t end) {
    for (int64_t first = begin * kGrain; first < std::min(size, end * kGrain); first += kGrain) {
      const int64_t count = std::min(kGrain, size - first);
      if (gradient.scalar_type() == at::kBFloat16) {
        act(first, count, bf16_data(gradient) + first);
      } else {
        act(first, count, gradient.const_data_ptr<float>() + first);
      }
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

using Bounds = std::array<float, 257>;

/// Half way between neighbours; a value on a bound takes the lower code.
Bounds bounds_of(const std::array<float, 256>& map) {
  Bounds bounds{};
  bounds.front() = -std::numeric_limits<float>::infinity();
  for (size_t i = 1; i < map.size(); ++i) bounds[i] = (map[i - 1] + map[i]) / 2;
  bounds.back() = std::numeric_limits<float>::infinity();
  return bounds;
}

BlockwiseMoment first_moment(const AdamWMoments& moments, int64_t first) {
  static const Bounds bounds = bounds_of(dynamic_map());
  return {moments.exp_avg.mutable_data_ptr<uint8_t>() + first,
          moments.exp_avg_absmax.mutable_data_ptr<float>() + first / AdamWMoments::kBlock,
          dynamic_map().data(), bounds.data(), /*has_sign=*/true};
}

BlockwiseMoment second_moment(const AdamWMoments& moments, int64_t first) {
  static const Bounds bounds = [] {
    Bounds half_way = bounds_of(unsigned_dynamic_map());
    half_way[1] = 0;  // so that what is above 0 stays there
    return half_way;
  }();
  return {moments.exp_avg_sq.mutable_data_ptr<uint8_t>() + first,
          moments.exp_avg_sq_absmax.mutable_data_ptr<float>() + first / AdamWMoments::kBlock,
          unsigned_dynamic_map().data(), bounds.data(), /*has_sign=*/false};
}

void encode(const float* values, int64_t count, float largest, const BlockwiseMoment& moment) {
  const float inverse = 1.0f / std::max(largest, 1e-38f);
  for (int64_t i = 0; i < count; ++i) {
    const float* above = std::lower_bound(moment.bounds, moment.bounds + 257, values[i] * inverse);
    moment.codes[i] = static_cast<uint8_t>(above - moment.bounds - 1);
  }
  *moment.absmax = largest;
}

/// The pass of bf16::adamw_update over one block, for any processor.
void update_block(const AdamWCoefficients& c, const float* gradient, int64_t count,
                  const BlockwiseMoment& exp_avg, const BlockwiseMoment& exp_avg_sq,
                  float* master) {
  std::array<float, AdamWMoments::kBlock> m, v;
  float m_largest = 0, v_largest = 0;
  for (int64_t i = 0; i < count; ++i) {
    const float g = gradient[i] * c.gradient_scale;
    m[i] = exp_avg.map[exp_avg.codes[i]] * *exp_avg.absmax;
    v[i] = exp_avg_sq.map[exp_avg_sq.codes[i]] * *exp_avg_sq.absmax;
    m[i] += (1 - c.beta1) * (g - m[i]);
    v[i] = c.beta2 * v[i] + (1 - c.beta2) * g * g;
    const float denominator = std::sqrt(v[i]) / c.bias_correction2_sqrt + c.eps;
    master[i] = master[i] * c.decay - c.step_size * m[i] / denominator;
    m_largest = std::max(m_largest, std::abs(m[i]));
    v_largest = std::max(v_largest, v[i]);
  }
  encode(m.data(), count, m_largest, exp_avg);
  encode(v.data(), count, v_largest, exp_avg_sq);
}

void update_in_one_pass(const AdamWStep& step, const at::Tensor& gradient,
                        const AdamWMoments& moments, const at::Tensor& master,
                        uint16_t* parameter) {
  const AdamWCoefficients c = coefficients(step);
  auto* weight = master.mutable_data_ptr<float>();
  for_each_chunk(gradient, [&](int64_t first, int64_t count, const auto* g) {
    uint16_t* rounded = parameter == nullptr ? nullptr : parameter + first;
    if (moments.in_8bit()) {
      bf16::adamw_update(c, g, count, first_moment(moments, first), second_moment(moments, first),
                         weight + first, rounded);
    } else {
      bf16::adamw_update(c, g, count, moments.exp_avg.mutable_data_ptr<float>() + first,
                         moments.exp_avg_sq.mutable_data_ptr<float>() + first, weight + first,
                         rounded);
    }
  });
}

void update_on_any_processor(const AdamWStep& step, const at::Tensor& gradient,
                             const AdamWMoments& moments, const at::Tensor& master) {
  const at::Tensor g = gradient.to(at::kFloat).contiguous();
  if (!moments.in_8bit()) {
    const at::Tensor steps = at::full({}, static_cast<double>(step.step), at::kFloat);
    at::_fused_adamw_({master}, {g * step.gradient_scale}, {moments.exp_avg}, {moments.exp_avg_sq},
                      {}, {steps}, step.lr, step.beta1, step.beta2, step.weight_decay, step.eps,
                      /*amsgrad=*/false, /*maximize=*/false);
    return;
  }
  const AdamWCoefficients c = coefficients(step);
  auto* weight = master.mutable_data_ptr<float>();
  for_each_chunk(g, [&](int64_t first, int64_t count, const auto*) {
    for (int64_t i = first; i < first + count; i += AdamWMoments::kBlock) {
      update_block(c, g.const_data_ptr<float>() + i,
                   std::min(AdamWMoments::kBlock, first + count - i), first_moment(moments, i),
                   second_moment(moments, i), weight + i);
    }
  });
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
  return {.exp_avg = zeros(at::kByte),
          .exp_avg_sq = zeros(at::kByte),
          .exp_avg_absmax = at::zeros({blocks}, at::kFloat),
          .exp_avg_sq_absmax = at::zeros({blocks}, at::kFloat)};
}

void adamw_update(const AdamWStep& step, const at::Tensor& gradient, const AdamWMoments& moments,
                  const at::Tensor& master, const at::Tensor& parameter) {
  const bool same = parameter.is_alias_of(master);
  const bool writes_bf16 = runs_bf16_kernels(parameter) && parameter.is_contiguous();
  if (runs_kernel(gradient) && (same || writes_bf16)) {
    update_in_one_pass(step, gradient, moments, master,
                       same ? nullptr : mutable_bf16_data(parameter));
    return;
  }
  update_on_any_processor(step, gradient, moments, master);
  if (!same) parameter.copy_(master);
}

double sum_of_squares(const at::Tensor& gradient) {
  if (!runs_kernel(gradient)) {
    const double norm =
        at::linalg_vector_norm(gradient, 2, std::nullopt, false, at::kDouble).item<double>();
    return norm * norm;
  }
  std::vector<double> sums((gradient.numel() + kGrain - 1) / kGrain);
  for_each_chunk(gradient, [&](int64_t first, int64_t count, const auto* g) {
    sums[first / kGrain] = bf16::sum_of_squares(g, count);
  });
  double sum = 0;
  for (double chunk : sums) sum += chunk;
  return sum;
}

}  // namespace longspan
