#include "src/attention/kernels/backward_plan.h"

#include <algorithm>

namespace longspan::flash {
namespace {

KeyPart make_part(const bf16::Geometry& geometry, const std::vector<const int32_t*>& key_start,
                  int64_t key_begin, int64_t key_end) {
  KeyPart part{key_begin, key_end, {}, 0};
  for (const int32_t* starts : key_start) {
    part.grad_q.push_back(bf16::rows_seeing(geometry, starts, key_begin, key_end));
    const bf16::GradQuery& rows = part.grad_q.back();
    part.grad_q_floats +=
        (rows.row_end - rows.row_begin + bf16::kGradQueryPadding) * geometry.head_dim;
  }
  return part;
}

}  // namespace

int64_t parts_per_head(int64_t heads, int64_t threads) {
  for (int64_t parts = 1; parts < threads; ++parts) {
    const int64_t rounds = (heads * parts + threads - 1) / threads;
    if (10 * heads * parts >= 9 * rounds * threads) return parts;
  }
  return threads;
}

std::vector<KeyPart> cut_keys(const bf16::Geometry& geometry,
                              const std::vector<const int32_t*>& key_start, int64_t parts) {
  const int64_t key_block = bf16::backward_key_block(geometry.head_dim);
  std::vector<int64_t> work;  // of the key blocks so far
  for (int64_t key = 0; key < geometry.keys; key += key_block) {
    int64_t rows = 0;
    for (const int32_t* starts : key_start) {
      const int64_t end = std::min(key + key_block, geometry.keys);
      const bf16::GradQuery seeing = bf16::rows_seeing(geometry, starts, key, end);
      rows += seeing.row_end - seeing.row_begin;
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
    result.push_back(make_part(geometry, key_start, begin, end));
    begin = end;
  }
  return result;
}

}  // namespace longspan::flash
