#include "src/attention/cross_batch.h"

#include <algorithm>
#include <stdexcept>

#include "src/attention/kernels/joint_attention.h"
#include "src/attention/key_starts.h"

namespace longspan {

namespace {

/// [B, Hkv, T, D] -> [1, Hkv, B * T, D]: the rows one behind the other.
at::Tensor in_one_row(const at::Tensor& x) { return x.transpose(0, 1).flatten(1, 2).unsqueeze(0); }

/// Rows [begin, end).
struct Rows {
  int64_t begin, end;
};

/// What row `row` attends to besides itself: one range, or two where windows of its own document
/// are left out.
std::vector<Rows> contexts_of(int64_t row, const CrossBatchSchedule& schedule) {
  const int64_t place = row % std::ssize(schedule);
  const auto [positives, negatives] = schedule[static_cast<size_t>(place)];
  const int64_t document = row - place;
  const Rows own{row - std::min(positives, place), row};
  const Rows others{std::max<int64_t>(0, document - negatives), document};
  if (others.begin == others.end) return {own};
  if (others.end == own.begin) return {{others.begin, own.end}};
  return {others, own};
}

}  // namespace

int64_t cross_batch_contexts(const CrossBatchSchedule& schedule, int64_t rows) {
  int64_t contexts = 0;
  for (int64_t row = 0; row < rows; ++row) {
    for (const Rows& seen : contexts_of(row, schedule)) contexts += seen.end - seen.begin;
  }
  return contexts;
}

int64_t most_contexts_at_once(const CrossBatchSchedule& schedule, int64_t rows) {
  int64_t most = 0;
  for (int64_t row = 0; row < rows; ++row) {
    for (const Rows& seen : contexts_of(row, schedule)) {
      most = std::max(most, seen.end - seen.begin);
    }
  }
  return most;
}

CrossBatchSchedule long_llama_3b_schedule() { return {{0, 0}, {1, 1}, {2, 1}, {3, 0}}; }

at::Tensor cross_batch_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                 const at::Tensor& first_k, const VisibleKeys& local,
                                 const CrossBatchSchedule& schedule, AttentionResult* kept) {
  const int64_t batch = q.size(0), tokens = q.size(2);
  if (schedule.empty() || batch % std::ssize(schedule) != 0) {
    throw std::logic_error("cross_batch_attention: the rows are not whole documents of a schedule");
  }
  const std::vector<KeySource> sources{{k, v}, {in_one_row(first_k), in_one_row(v)}};
  std::vector<KeyPart> parts{{.num_keys = tokens, .visible = local}};
  for (int64_t row = 0; row < batch; ++row) {
    for (const Rows& seen : contexts_of(row, schedule)) {
      if (seen.begin == seen.end) continue;
      const int64_t keys = (seen.end - seen.begin) * tokens;
      parts.push_back({.source = 1,
                       .first_row = row,
                       .first_key = seen.begin * tokens,
                       .num_keys = keys,
                       .visible = all_keys(q.narrow(0, row, 1), keys)});
    }
  }
  return joint_attention(q, sources, parts, kept);
}

}  // namespace longspan
