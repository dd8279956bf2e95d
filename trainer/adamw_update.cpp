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

BlockwiseMoment first_moment(const AdamWMoments& moments) {
  static const Bounds bounds = bounds_of(dynamic_map());
  return {moments.exp_avg.mutable_data_ptr<uint8_t>(),
          moments.exp_avg_absmax.mutable_data_ptr<float>(), dynamic_map().data(), bounds.data()};
}

BlockwiseMoment second_moment(const AdamWMoments& moments) {
  static const Bounds bounds = [] {
    Bounds half_way = bounds_of(unsigned_dynamic_map());
    half_way[0] = 0;  // so that what is above 0 stays there
    return half_way;
  }();
  return {moments.exp_avg_sq.mutable_data_ptr<uint8_t>(),
          moments.exp_avg_sq_absmax.mutable_data_ptr<float>(), unsigned_dynamic_map().data(),
          bounds.data()};
}

void encode(const float* values, int64_t begin, int64_t end, float largest,
            const BlockwiseMoment& moment) {
  const float inverse = 1.0f / std::max(largest, 1e-38f);
  for (int64_t i = begin; i < end; ++i) {
    const float* above =
        std::lower_bound(moment.bounds, moment.bounds + 255, values[i - begin] * inverse);
    moment.codes[i] = static_cast<uint8_t>(above - moment.bounds);
  }
  moment.absmax[begin / AdamWMoments::kBlock] = largest;
}

/// What the kernel does to one block, [begin, end), for any processor.
void update_block(const AdamWCoefficients& c, const float* gradient, const BlockwiseMoment& exp_avg,
                  const BlockwiseMoment& exp_avg_sq, float* master, int64_t begin, int64_t end) {
  std::array<float, AdamWMoments::kBlock> m, v;
  const float m_scale = exp_avg.absmax[begin / AdamWMoments::kBlock];
  const float v_scale = exp_avg_sq.absmax[begin / AdamWMoments::kBlock];
  float m_largest = 0, v_largest = 0;
  for (int64_t i = begin; i < end; ++i) {
    const float g = gradient[i] * c.gradient_scale;
    float& m_i = m[i - begin] = exp_avg.map[exp_avg.codes[i]] * m_scale;
    float& v_i = v[i - begin] = exp_avg_sq.map[exp_avg_sq.codes[i]] * v_scale;
    m_i += (1 - c.beta1) * (g - m_i);
    v_i = c.beta2 * v_i + (1 - c.beta2) * g * g;
    const float denominator = std::sqrt(v_i) / c.bias_correction2_sqrt + c.eps;
    master[i] = master[i] * c.decay - c.step_size * m_i / denominator;
    m_largest = std::max(m_largest, std::abs(m_i));
    v_largest = std::max(v_largest, v_i);
  }
  encode(m.data(), begin, end, m_largest, exp_avg);
  encode(v.data(), begin, end, v_largest, exp_avg_sq);
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
  const at::Tensor g = gradient.to(at::kFloat).contiguous();
  if (!moments.in_8bit()) {
    const at::Tensor steps = at::full({}, static_cast<double>(step.step), at::kFloat);
    at::_fused_adamw_({master}, {g * step.gradient_scale}, {moments.exp_avg}, {moments.exp_avg_sq},
                      {}, {steps}, step.lr, step.beta1, step.beta2, step.weight_decay, step.eps,
                      /*amsgrad=*/false, /*maximize=*/false);
    return;
  }
  const AdamWCoefficients c = coefficients(step);
  const BlockwiseMoment exp_avg = first_moment(moments), exp_avg_sq = second_moment(moments);
  for_each_chunk(g.numel(), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i += AdamWMoments::kBlock) {
      update_block(c, g.const_data_ptr<float>(), exp_avg, exp_avg_sq,
                   master.mutable_data_ptr<float>(), i, std::min(end, i + AdamWMoments::kBlock));
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
    const double norm =
        at::linalg_vector_norm(gradient, 2, std::nullopt, false, at::kDouble).item<double>();
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
