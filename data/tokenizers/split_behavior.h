#pragma once

#include <cstddef>
#include <optional>
#include <string_view>
#include <vector>

namespace longspan {

/// What becomes of the matches of a Split: tokenizers' SplitDelimiterBehavior.
enum class SplitBehavior { kRemoved, kIsolated, kMergedWithPrevious, kMergedWithNext, kContiguous };

/// The one that tokenizer.json calls `name`.
std::optional<SplitBehavior> split_behavior_named(std::string_view name);
std::string_view name_of(SplitBehavior behavior);

/// A part of a text, in bytes: a match, or what lies between two.
struct SplitSpan {
  size_t begin, end;
  bool match;
};

/// The pieces that `spans`, which cover a text, are joined to or dropped from; empty ones remain.
std::vector<SplitSpan> apply_split_behavior(SplitBehavior behavior,
                                            const std::vector<SplitSpan>& spans);

}  // namespace longspan
