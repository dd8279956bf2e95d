#include "src/attention/kernels/cudnn_attention.h"

#include <ATen/Context.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/_scaled_dot_product_cudnn_attention.h>
#include <ATen/ops/_scaled_dot_product_cudnn_attention_backward.h>
#include <ATen/ops/_scaled_dot_product_flash_attention.h>
#include <ATen/ops/_scaled_dot_product_flash_attention_backward.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <c10/util/Exception.h>

#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <tuple>
#include <type_traits>

#include "src/core/cuda.h"
#include "src/core/log.h"
#include "src/core/stopwatch.h"

namespace longspan {
namespace {

constexpr int64_t kFewestTokens = 2048, kTokensOfTile = 128, kMeasuredTokens = 8192;

/// Whether cuDNN's kernel was chosen, by query heads, key/value heads, head_dim and dtype.
struct Choices {
  using Kind = std::tuple<int64_t, int64_t, int64_t, at::ScalarType>;

  std::mutex mutex;
  std::map<Kind, bool> is_cudnn;

  static Kind kind_of(const at::Tensor& q, const at::Tensor& k) {
    return {q.size(1), k.size(1), q.size(3), q.scalar_type()};
  }
};

Choices& choices() {
  static Choices all;
  return all;
}

/// What work() gives, or nothing where cuDNN refuses it.
template <class Work>
std::optional<std::invoke_result_t<Work>> unless_refused(const at::Tensor& q, const at::Tensor& k,
                                                         const Work& work) {
  try {
    return work();
  } catch (const c10::OutOfMemoryError&) {
    throw;
  } catch (const c10::Error& e) {
    log_warning(
        "attention of {} tokens: FlashAttention-2's kernel from here on, as cuDNN's refuses: {}",
        q.size(2), std::string(e.what_without_backtrace()));
    const std::lock_guard lock(choices().mutex);
    choices().is_cudnn[Choices::kind_of(q, k)] = false;
    return std::nullopt;
  }
}

/// After a run that warms up, the mean of three.
double seconds_of_three(at::Device device, const std::function<void()>& work) {
  constexpr int kTimes = 3;
  const c10::impl::VirtualGuardImpl guard(device.type());
  work();
  guard.synchronizeDevice(device.index());
  const Stopwatch stopwatch;
  for (int i = 0; i < kTimes; ++i) work();
  guard.synchronizeDevice(device.index());
  return stopwatch.seconds() / kTimes;
}

AttentionTimes times_of_flash2(const at::Tensor& q, const at::Tensor& k, const at::Tensor& grad) {
  const auto forward = [&] {
    return at::_scaled_dot_product_flash_attention(q, k, k, /*dropout_p=*/0.0, /*is_causal=*/true);
  };
  const auto made = forward();
  const at::Tensor none, no_dropout = at::zeros({2}, q.options().dtype(at::kLong));
  const auto backward = [&] {
    at::_scaled_dot_product_flash_attention_backward(
        grad, q, k, k, std::get<0>(made), std::get<1>(made), none, none, q.size(2), k.size(2),
        /*dropout_p=*/0.0, /*is_causal=*/true, no_dropout, no_dropout);
  };
  return {seconds_of_three(q.device(), forward), seconds_of_three(q.device(), backward)};
}

AttentionTimes times_of_cudnn(const at::Tensor& q, const at::Tensor& k, const at::Tensor& grad) {
  const AttentionResult made = cudnn_attention_forward(q, k, k);
  return {seconds_of_three(q.device(), [&] { cudnn_attention_forward(q, k, k); }),
          seconds_of_three(q.device(), [&] { cudnn_attention_backward(grad, q, k, k, made); })};
}

/// Nothing where there is no memory to measure in.
std::optional<bool> measure_choice(const at::Tensor& like_q, const at::Tensor& like_k) {
  const at::NoGradGuard no_gradients;
  const auto random = [&](int64_t heads) {
    return at::randn({1, kMeasuredTokens, heads, like_q.size(3)}, like_q.options()).transpose(1, 2);
  };
  try {
    const at::Tensor q = random(like_q.size(1)), k = random(like_k.size(1));
    const at::Tensor grad = random(q.size(1));
    const AttentionTimes flash2 = times_of_flash2(q, k, grad), cudnn = times_of_cudnn(q, k, grad);
    const double pairs = static_cast<double>(kMeasuredTokens) * kMeasuredTokens / 2;
    const double tflop = 4e-12 * pairs * static_cast<double>(q.size(1) * q.size(3));
    log_info(describe_attention_choice(q, k, tflop, flash2, cudnn));
    return cudnn.total() < flash2.total();
  } catch (const c10::OutOfMemoryError&) {
    return std::nullopt;
  } catch (const c10::Error& e) {
    log_info("attention: FlashAttention-2's kernel, as cuDNN's does not run: {}",
             std::string(e.what_without_backtrace()));
    return false;
  }
}

/// [B, H, T, 1], as cuDNN has it.
at::Tensor statistics(const at::Tensor& log_sum_exp) {
  return log_sum_exp.contiguous().unsqueeze(-1);
}

}  // namespace

std::string describe_attention_choice(const at::Tensor& q, const at::Tensor& k, double tflop,
                                      const AttentionTimes& flash2, const AttentionTimes& cudnn) {
  const bool is_cudnn = cudnn.total() < flash2.total();
  const auto rates = [&](const AttentionTimes& times) {
    return fmt::format("{:.0f} and {:.0f}", tflop / times.forward, 2.5 * tflop / times.backward);
  };
  constexpr const char *kCudnn = "cuDNN's", *kFlash2 = "FlashAttention-2's";
  return fmt::format(
      "attention of {} heads of {} on {} key/value heads: {} kernel, {} TFLOP/s forward and "
      "backward, for {} {}",
      q.size(1), q.size(3), k.size(1), is_cudnn ? kCudnn : kFlash2,
      rates(is_cudnn ? cudnn : flash2), is_cudnn ? kFlash2 : kCudnn,
      rates(is_cudnn ? flash2 : cudnn));
}

bool cudnn_attention_is_faster(const at::Tensor& q, const at::Tensor& k) {
  static const bool has_kernel = compute_capability() >= 90;
  const at::Context& settings = at::globalContext();
  const int64_t tokens = q.size(2);
  if (!has_kernel || tokens != k.size(2) || tokens < kFewestTokens || tokens % kTokensOfTile != 0 ||
      q.size(3) > 128 || !settings.userEnabledCuDNNSDP() || settings.deterministicAlgorithms()) {
    return false;
  }
  const std::lock_guard lock(choices().mutex);
  const Choices::Kind kind = Choices::kind_of(q, k);
  const auto known = choices().is_cudnn.find(kind);
  if (known != choices().is_cudnn.end()) return known->second;
  const std::optional<bool> measured = measure_choice(q, k);
  if (!measured) return false;
  return choices().is_cudnn[kind] = *measured;
}

AttentionResult cudnn_attention_forward(const at::Tensor& q, const at::Tensor& k,
                                        const at::Tensor& v) {
  const auto made = at::_scaled_dot_product_cudnn_attention(
      q, k, v, /*attn_bias=*/std::nullopt, /*compute_log_sumexp=*/true, /*dropout_p=*/0.0,
      /*is_causal=*/true, /*return_debug_mask=*/false);
  return {std::get<0>(made), std::get<1>(made).view(q.sizes().slice(0, 3))};
}

AttentionGradients cudnn_attention_backward(const at::Tensor& grad_out, const at::Tensor& q,
                                            const at::Tensor& k, const at::Tensor& v,
                                            const AttentionResult& forward) {
  const at::Tensor none, no_dropout = at::zeros({}, q.options().dtype(at::kLong));
  auto [grad_q, grad_k, grad_v] = at::_scaled_dot_product_cudnn_attention_backward(
      grad_out, q, k, v, forward.out, statistics(forward.log_sum_exp), no_dropout, no_dropout, none,
      none, none, q.size(2), k.size(2), /*dropout_p=*/0.0, /*is_causal=*/true);
  return {grad_q, grad_k, grad_v};
}

std::optional<AttentionResult> try_cudnn_forward(const at::Tensor& q, const at::Tensor& k,
                                                 const at::Tensor& v) {
  return unless_refused(q, k, [&] { return cudnn_attention_forward(q, k, v); });
}

std::optional<AttentionGradients> try_cudnn_backward(const at::Tensor& grad_out,
                                                     const at::Tensor& q, const at::Tensor& k,
                                                     const at::Tensor& v,
                                                     const AttentionResult& forward) {
  return unless_refused(q, k, [&] { return cudnn_attention_backward(grad_out, q, k, v, forward); });
}

}  // namespace longspan
