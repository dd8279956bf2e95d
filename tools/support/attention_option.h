#pragma once

#include <memory>

#include "src/attention/attention.h"
#include "tools/support/arguments.h"

namespace longspan {

/// The pattern that --attention and --group-size ask for: the name of one, or a map such as
/// {pattern: sliding_window, window: 4096, sinks: 4}. Null where neither is given: the model's own.
/// Throws Error(kUsage), as a recipe would.
std::shared_ptr<AttentionPattern> read_attention_option(const Arguments& arguments);

}  // namespace longspan
