#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "src/core/fields_io.h"

namespace longspan {

struct LearningRateOptions {
  std::string type = "cosine";  // one of learning_rate_types()
  int64_t warmup_steps = 0;     // linear from lr / warmup_steps up to lr
  double min_lr_ratio = 0.0;    // cosine and linear end near min_lr_ratio x lr
};

/// The keys of a recipe's `lr_schedule` map.
void fields(FieldsIo& io, LearningRateOptions& options);

std::vector<std::string> learning_rate_types();

/// The factor on the peak learning rate for the update that follows `step` finished ones, of
/// `total_steps`; a pure function of its arguments. Throws std::logic_error for an unknown type.
double learning_rate_factor(const LearningRateOptions& options, int64_t step, int64_t total_steps);

}  // namespace longspan
