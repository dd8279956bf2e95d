#include "trainer/eval/arms/oracle.h"

#include <algorithm>

namespace longspan {

namespace {

constexpr int64_t kPartTokens = 64;

}  // namespace

std::vector<TokenRange> OracleArm::keep(const EvalSubject&, const LongContext& context) {
  if (context.evidence.empty()) {
    fail(ExitCode::kData,
         "oracle: nothing says where the answer to '{}' stands, and no answer stands in the "
         "context, but perhaps the letter of a choice; leave the arm out",
         context.question);
  }
  std::vector<TokenRange> ranges;
  for (const Span& span : context.evidence) ranges.push_back(context.tokens_of(span));
  std::ranges::sort(ranges, {}, &TokenRange::begin);
  std::vector<TokenRange> apart;
  for (const TokenRange& range : ranges) {
    if (!apart.empty() && range.begin <= apart.back().end) {
      apart.back().end = std::max(apart.back().end, range.end);
    } else {
      apart.push_back(range);
    }
  }
  std::vector<TokenRange> parts;  // of evidence that is longer than the budget some
  for (const TokenRange& range : apart) {
    for (const TokenRange& part : chunks_of(range, kPartTokens)) parts.push_back(part);
  }
  return within_budget(parts, context.budget);
}

}  // namespace longspan
