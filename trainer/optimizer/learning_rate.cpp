#include "trainer/optimizer/learning_rate.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <stdexcept>

namespace longspan {

namespace {

// Each maps the progress after warm-up, 0 at its first step and 1 after the last, to [0, 1].
double cosine(double progress) { return 0.5 * (1.0 + std::cos(std::numbers::pi * progress)); }
double linear(double progress) { return 1.0 - progress; }
double constant(double) { return 1.0; }

struct LrCurve {
  std::string_view type;
  double (*factor)(double progress);
};
constexpr LrCurve kCurves[] = {{"cosine", cosine}, {"linear", linear}, {"constant", constant}};

}  // namespace

void fields(FieldsIo& io, LearningRateOptions& options) {
  io.choice("type", options.type, learning_rate_types(),
            "after the warm-up: down to `min_lr_ratio`, or always `lr`");
  io.whole("warmup_steps", options.warmup_steps, {0, int64_t{1} << 40},
           "the learning rate grows linearly for so many steps; no more than the run has");
  io.number("min_lr_ratio", options.min_lr_ratio, {0, 1},
            "cosine and linear end near this part of `lr`");
}

std::vector<std::string> learning_rate_types() {
  std::vector<std::string> types;
  for (const auto& curve : kCurves) types.emplace_back(curve.type);
  return types;
}

double learning_rate_factor(const LearningRateOptions& options, int64_t step, int64_t total_steps) {
  if (step < options.warmup_steps) {
    return static_cast<double>(step + 1) / static_cast<double>(options.warmup_steps);
  }
  auto rest = static_cast<double>(std::max<int64_t>(total_steps - options.warmup_steps, 1));
  double progress = std::min(static_cast<double>(step - options.warmup_steps) / rest, 1.0);
  for (const auto& curve : kCurves) {
    if (curve.type != options.type) continue;
    return options.min_lr_ratio + (1.0 - options.min_lr_ratio) * curve.factor(progress);
  }
  throw std::logic_error("no learning rate curve '" + options.type + "'");
}

}  // namespace longspan
