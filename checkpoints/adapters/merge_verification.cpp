#include "checkpoints/adapters/merge_verification.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/ones.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "checkpoints/adapters/adapted_model.h"
#include "checkpoints/adapters/trainable_tokens.h"
#include "checkpoints/hf/hf_config.h"
#include "checkpoints/tensor_names.h"
#include "src/core/text.h"

namespace longspan {

namespace {

constexpr int64_t kVerifiedElements = int64_t{1} << 21;  // 16 MiB an operand in float64

/// What is added to a weight [out, in], all float64: scale b a, and with DoRA the norm of each row
/// becomes `magnitude`.
struct LowRank {
  at::Tensor a, b;       // [r, in] and [out, r]
  at::Tensor magnitude;  // [out]; undefined without DoRA
  double scale = 0;
  bool of_columns = false;  // of the weight's transpose: an embedding with DoRA

  LowRank rows(int64_t begin, int64_t count) const {
    at::Tensor part = magnitude.defined() ? magnitude.narrow(0, begin, count) : magnitude;
    return {a, b.narrow(0, begin, count), part, scale};
  }
};

struct Comparison {
  int64_t wrong = 0, moved = 0;
  double largest_error = 0;
};

/// `written` against weight + low rank, and how many values the adapter moved.
Comparison compare_rows(const at::Tensor& weight, const LowRank& low_rank,
                        const at::Tensor& written) {
  constexpr double kRounding = 0x1p-24;  // of float32, relative
  at::Tensor base = weight.to(at::kDouble), actual = written.to(at::kDouble);
  at::Tensor exact = base + at::matmul(low_rank.b, low_rank.a) * low_rank.scale;
  // A float32 sum of r products, scaled, added and rounded, is off by r + 4 roundings at most.
  at::Tensor magnitude =
      base.abs() + at::matmul(low_rank.b.abs(), low_rank.a.abs()) * std::abs(low_rank.scale);
  at::Tensor arithmetic = magnitude * (static_cast<double>(low_rank.b.size(1) + 4) * kRounding);
  if (low_rank.magnitude.defined()) {
    at::Tensor factor = (low_rank.magnitude / at::linalg_vector_norm(exact, 2, {1})).unsqueeze(1);
    exact = exact * factor;
    // The float32 norm of a row: measured below 8 roundings for 8,192 columns; a sum's error grows
    // with its length.
    const double columns = static_cast<double>(base.size(1));
    const double roundings = 64 * std::max(1.0, columns / 8192);
    arithmetic = arithmetic * factor.abs() + exact.abs() * (roundings * kRounding);
  }
  at::Tensor rounding = (exact.to(written.scalar_type()).to(at::kDouble) - exact).abs();
  at::Tensor error = (actual - exact).abs();
  at::Tensor right = error <= rounding + arithmetic;  // false for NaN
  Comparison result;
  result.wrong = right.numel() - right.sum().item<int64_t>();
  result.moved = (written != weight.to(written.scalar_type())).sum().item<int64_t>();
  result.largest_error = error.max().item<double>();
  return result;
}

class MergeVerifier {
 public:
  MergeVerifier(const ModelSource& base, const PeftAdapter& adapter, const ModelSource& written)
      : base_(base), adapter_(adapter), written_(written), config_(adapted_config(base, adapter)) {
    for (const auto& info : base.tensors()) missing_.insert(info.name);
    has_head_ = missing_.contains(kLmHead);
    const bool tied = config_.tie_word_embeddings;
    std::erase_if(missing_, [&](const auto& name) { return is_redundant(name, tied); });
    if (!tied) missing_.insert(kLmHead);
    for (const auto& [name, tensor] : adapter.tensors) unused_.insert(name);
    if (tied) {  // copies of embed_tokens'
      unused_.erase(kLmHead);
      unused_.erase(fmt::format("lm_head.{}", kTrainableTokens));
    }
  }

  MergeVerification run() {
    check_config();
    for (const auto& info : written_.tensors()) {
      if (missing_.erase(info.name) == 0) {
        wrong_.push_back(fmt::format("'{}' is not in the base", info.name));
      } else {
        check_tensor(info);
      }
    }
    for (const auto& name : missing_) wrong_.push_back(fmt::format("'{}' is missing", name));
    for (const auto& name : unused_) {
      wrong_.push_back(fmt::format("the adapter's '{}' is nowhere in it", name));
    }
    if (!wrong_.empty()) refuse();
    return result_;
  }

 private:
  void check_config() {
    Json expected = write_hf_config(config_, main_dtype(written_));
    Json actual = written_.config_json();
    for (const auto& [key, value] : expected.items()) {
      if (actual.value(key, Json()) == value) continue;
      wrong_.push_back(fmt::format("config.json: {} is {}, expected {}", key,
                                   actual.value(key, Json()).dump(), value.dump()));
    }
  }

  void check_tensor(const TensorInfo& info) {
    const std::string& name = info.name;
    at::Tensor written = written_.tensor(name);
    bool saved = adapter_.tensors.contains(name);
    unused_.erase(name);
    at::Tensor stored = saved ? adapter_.tensors.at(name)
                              : base_.tensor(name == kLmHead && !has_head_ ? kEmbedTokens : name);
    const bool resized = !saved && (name == kEmbedTokens || name == kLmHead);
    if (resized && stored.size(0) > config_.vocab_size) {
      stored = stored.narrow(0, 0, config_.vocab_size);
    }
    const bool replaced = replace_tokens(name, stored);
    if (!saved && written.dim() == 2 && written.size(0) > stored.size(0)) {
      check_added_rows(name, stored,
                       written.narrow(0, stored.size(0), written.size(0) - stored.size(0)));
      written = written.narrow(0, 0, stored.size(0));
    }
    if (written.sizes() != stored.sizes()) {
      wrong_.push_back(fmt::format("'{}' has another shape", name));
    } else if (auto low_rank = low_rank_of(name)) {
      ++result_.adapted;
      check_adapted(name, stored, *low_rank, written);
    } else {
      ++(saved || replaced ? result_.saved : result_.copied);
      check_equal(name, stored, written,
                  saved      ? "adapter's"
                  : replaced ? "base's with the adapter's rows"
                             : "base's");
    }
  }

  /// Puts the rows of its trainable tokens, one by one, where the config says; whether there are.
  bool replace_tokens(const std::string& name, at::Tensor& stored) {
    const std::string module = name.substr(0, name.rfind('.'));
    auto rows = adapter_.tensors.find(fmt::format("{}.{}", module, kTrainableTokens));
    if (!name.ends_with(".weight") || rows == adapter_.tensors.end()) return false;
    unused_.erase(rows->first);
    stored = stored.to(at::kFloat, /*non_blocking=*/false, /*copy=*/true);
    int64_t row = 0;
    for (int64_t token : adapter_.trainable_tokens.at(module)) {
      stored[token].copy_(rows->second[row++]);
    }
    return true;
  }

  void check_equal(const std::string& name, const at::Tensor& expected, const at::Tensor& written,
                   std::string_view whose) {
    if (!at::equal(expected.to(written.scalar_type()), written)) {
      wrong_.push_back(fmt::format("'{}' is not the {}", name, whose));
    }
  }

  /// LongLoRA's added tokens: the mean of the base's rows, to the dtype's rounding.
  void check_added_rows(const std::string& name, const at::Tensor& base, const at::Tensor& added) {
    at::Tensor mean = base.to(at::kDouble).mean(0, /*keepdim=*/true);
    at::Tensor right = (added.to(at::kDouble) - mean).abs() <= mean.abs() * 0x1p-7 + 1e-6;
    if (!right.all().item<bool>()) {
      wrong_.push_back(fmt::format("'{}': the added rows are not the mean of the base's", name));
    }
  }

  /// A part of the adapter, now accounted for, in float64; undefined when there is none.
  at::Tensor take(const std::string& module, const char* part) {
    auto found = adapter_.tensors.find(fmt::format("{}.{}", module, part));
    if (found == adapter_.tensors.end()) return {};
    unused_.erase(found->first);
    return found->second.to(at::kDouble);
  }

  /// The scale anew from what PEFT documents, with r as the factors have it. A bias is a matrix of
  /// one column to which B's bias is added, an embedding the transpose of a projection.
  std::optional<LowRank> low_rank_of(const std::string& name) {
    std::string module = name.substr(0, name.rfind('.'));
    LoraOptions options = adapter_.lora.for_module(module);
    auto scale = [&](int64_t r) {
      double rank = static_cast<double>(r);
      return options.lora_alpha / (options.use_rslora ? std::sqrt(rank) : rank);
    };
    if (name.ends_with(".bias")) {
      at::Tensor bias = take(module, "lora_B.bias");
      if (!bias.defined()) return std::nullopt;
      return LowRank{at::ones({1, 1}, at::kDouble), bias.unsqueeze(1), {}, scale(options.r)};
    }
    if (!name.ends_with(".weight")) return std::nullopt;
    at::Tensor a = take(module, "lora_A.weight"), b = take(module, "lora_B.weight");
    if (a.defined() && b.defined()) {
      return LowRank{a, b, take(module, "lora_magnitude_vector"), scale(a.size(0))};
    }
    a = take(module, "lora_embedding_A"), b = take(module, "lora_embedding_B");
    if (!a.defined() || !b.defined()) return std::nullopt;
    at::Tensor magnitude = take(module, "lora_magnitude_vector");
    if (magnitude.defined()) return LowRank{a, b, magnitude, scale(a.size(0)), true};
    return LowRank{b.t(), a.t(), {}, scale(a.size(0))};
  }

  void check_adapted(const std::string& name, const at::Tensor& stored, const LowRank& low_rank,
                     const at::Tensor& written) {
    at::Tensor weight = stored.dim() == 1 ? stored.unsqueeze(1) : stored;
    at::Tensor actual = written.view(weight.sizes());
    if (low_rank.of_columns) {
      weight = weight.t();
      actual = actual.t();
    }
    Comparison sum;
    int64_t step = std::max<int64_t>(1, kVerifiedElements / std::max<int64_t>(1, weight.size(1)));
    for (int64_t row = 0; row < weight.size(0); row += step) {
      int64_t rows = std::min(step, weight.size(0) - row);
      Comparison part = compare_rows(weight.narrow(0, row, rows), low_rank.rows(row, rows),
                                     actual.narrow(0, row, rows));
      sum.wrong += part.wrong;
      sum.moved += part.moved;
      sum.largest_error = std::max(sum.largest_error, part.largest_error);
    }
    result_.adapted_values += weight.numel();
    result_.moved_values += sum.moved;
    if (sum.wrong > 0) {
      wrong_.push_back(fmt::format("'{}': {} of {} values differ, by up to {:.3g}", name,
                                   human_count(sum.wrong), human_count(weight.numel()),
                                   sum.largest_error));
    }
  }

  [[noreturn]] void refuse() {
    fail(ExitCode::kModel, "{}: is not {} + adapter:\n  {}", written_.path().string(),
         base_.path().string(), fmt::join(fault_lines(wrong_), "\n  "));
  }

  const ModelSource& base_;
  const PeftAdapter& adapter_;
  const ModelSource& written_;
  ModelConfig config_;
  bool has_head_ = false;
  std::set<std::string> missing_;  // tensors not seen yet
  std::set<std::string> unused_;   // tensors of the adapter not seen yet
  std::vector<std::string> wrong_;
  MergeVerification result_;
};

}  // namespace

MergeVerification verify_merge(const ModelSource& base, const PeftAdapter& adapter,
                               const ModelSource& written) {
  at::NoGradGuard no_gradients;
  return MergeVerifier(base, adapter, written).run();
}

}  // namespace longspan
