#include "src/attention/kernels/backward_plan.h"

#include <algorithm>

namespace longspan::flash {
namespace {

/// Rows whose interval or sinks hold a key of `keys`, and those between the two.
Range all_rows_seeing(const Geometry& geometry, const Visible& visible, Range keys) {
  const Range rows = rows_seeing(geometry, visible, /*sinks=*/false, keys);
  if (!visible.sink_begin) return rows;
  const Range of_sinks = rows_seeing(geometry, visible, /*sinks=*/true, keys);
  if (is_empty(of_sinks)) return rows;
  if (is_empty(rows)) return of_sinks;
  return {std::min(rows.begin, of_sinks.begin), std::max(rows.end, of_sinks.end)};
}

KeyPart make_part(const Geometry& geometry, const std::vector<Visible>& heads, Range keys) {
  KeyPart part{keys.begin, keys.end, {}, 0};
  for (const Visible& visible : heads) {
    const Range rows = all_rows_seeing(geometry, visible, keys);
    part.grad_q.push_back({nullptr, rows.begin, rows.end});
    part.grad_q_floats += (rows.end - rows.begin + kGradQueryPadding) * geometry.head_dim;
  }
  return part;
}

/// The first row of [begin, end) for which `after` holds, as it does for all rows that follow.
template <class After>
int64_t first_row(int64_t begin, int64_t end, const After& after) {
  while (begin < end) {
    const int64_t middle = begin + (end - begin) / 2;
    if (after(middle)) {
      end = middle;
    } else {
      begin = middle + 1;
    }
  }
  return begin;
}

}  // namespace

Range rows_seeing(const Geometry& geometry, const Visible& visible, bool sinks, Range keys) {
  const auto seen = [&](int64_t row) { return keys_seen(geometry, visible, sinks, row, row); };
  const int64_t begin =
      first_row(0, geometry.queries, [&](int64_t row) { return seen(row).end > keys.begin; });
  const int64_t end =
      first_row(begin, geometry.queries, [&](int64_t row) { return seen(row).begin >= keys.end; });
  if (begin == end) return {0, 0};
  return {begin / 2 * 2, end};
}

int64_t parts_per_head(int64_t heads, int64_t threads) {
  for (int64_t parts = 1; parts < threads; ++parts) {
    const int64_t rounds = (heads * parts + threads - 1) / threads;
    if (10 * heads * parts >= 9 * rounds * threads) return parts;
  }
  return threads;
}

std::vector<KeyPart> cut_keys(const Geometry& geometry, const std::vector<Visible>& heads,
                              int64_t key_block, int64_t parts) {
  std::vector<int64_t> work;  // of the key blocks so far
  for (int64_t key = 0; key < geometry.keys; key += key_block) {
    int64_t rows = 0;
    for (const Visible& visible : heads) {
      const Range keys{key, std::min(key + key_block, geometry.keys)};
      const Range seeing = rows_seeing(geometry, visible, /*sinks=*/false, keys);
      rows += seeing.end - seeing.begin;
    }
    work.push_back((work.empty() ? 0 : work.back()) + rows);
  }
  std::vector<KeyPart> result;
  int64_t begin = 0;
  for (int64_t part = 1; part <= parts; ++part) {
    const int64_t target = work.back() * part / parts;
    const auto cut = std::lower_bound(work.begin(), work.end(), target);
    const int64_t blocks =
        part == parts ? static_cast<int64_t>(work.size()) : cut - work.begin() + 1;
    const int64_t end = std::min(blocks * key_block, geometry.keys);
    if (end <= begin) continue;
    result.push_back(make_part(geometry, heads, {begin, end}));
    begin = end;
  }
  return result;
}

}  // namespace longspan::flash
