#include "data/tokenizers/split_behavior.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace longspan {

namespace {

constexpr std::pair<std::string_view, SplitBehavior> kBehaviors[] = {
    {"Removed", SplitBehavior::kRemoved},
    {"Isolated", SplitBehavior::kIsolated},
    {"MergedWithPrevious", SplitBehavior::kMergedWithPrevious},
    {"MergedWithNext", SplitBehavior::kMergedWithNext},
    {"Contiguous", SplitBehavior::kContiguous}};

}  // namespace

std::optional<SplitBehavior> split_behavior_named(std::string_view name) {
  for (const auto& [known, behavior] : kBehaviors) {
    if (known == name) return behavior;
  }
  return std::nullopt;
}

std::string_view name_of(SplitBehavior behavior) {
  return std::find_if(std::begin(kBehaviors), std::end(kBehaviors),
                      [&](const auto& entry) { return entry.second == behavior; })
      ->first;
}

std::vector<SplitSpan> apply_split_behavior(SplitBehavior behavior,
                                            const std::vector<SplitSpan>& spans) {
  std::vector<SplitSpan> pieces;
  if (behavior == SplitBehavior::kRemoved) {
    std::copy_if(spans.begin(), spans.end(), std::back_inserter(pieces),
                 [](const SplitSpan& span) { return !span.match; });
    return pieces;
  }
  // What comes before the first counts as no match.
  bool previous = false;
  auto joins = [&](const SplitSpan& span) {
    bool joined = behavior == SplitBehavior::kContiguous ? span.match == previous
                  : behavior == SplitBehavior::kIsolated ? false
                                                         : span.match && !previous;
    previous = span.match;
    return joined && !pieces.empty();
  };
  if (behavior == SplitBehavior::kMergedWithNext) {
    for (auto span = spans.rbegin(); span != spans.rend(); ++span) {
      if (joins(*span)) {
        pieces.back().begin = span->begin;
      } else {
        pieces.push_back(*span);
      }
    }
    std::reverse(pieces.begin(), pieces.end());
    return pieces;
  }
  for (const auto& span : spans) {
    if (joins(span)) {
      pieces.back().end = span.end;
    } else {
      pieces.push_back(span);
    }
  }
  return pieces;
}

}  // namespace longspan
