#include "src/attention/kernels/packed_runs.h"

#include <ATen/ops/tensor.h>

#include <algorithm>

namespace longspan {

PackedRuns pack_runs(const std::vector<AlikeHeads>& heads) {
  std::vector<int32_t> begins{0};
  PackedRuns packed;
  for (const AlikeHeads& alike : heads) {
    for (int64_t head = 0; head < alike.heads.size(); ++head) {
      for (const Runs& runs : alike.runs) {
        packed.longest = std::max(packed.longest, runs.length);
        for (int64_t i = 0; i < runs.count; ++i) {
          begins.push_back(begins.back() + static_cast<int32_t>(runs.length));
        }
      }
    }
  }
  packed.begins = at::tensor(begins, at::kInt);
  return packed;
}

int64_t packed_sequences(const std::vector<AlikeHeads>& heads) {
  int64_t count = 0;
  for (const AlikeHeads& alike : heads) {
    for (const Runs& runs : alike.runs) count += alike.heads.size() * runs.count;
  }
  return count;
}

at::Tensor pack_heads(const at::Tensor& x, int64_t query_heads) {
  const int64_t sharers = query_heads / x.size(1);
  return x.unsqueeze(2).expand({-1, -1, sharers, -1, -1}).reshape({-1, 1, x.size(3)});
}

at::Tensor unpack_heads(const at::Tensor& packed, const at::Tensor& like) {
  const at::Tensor each = packed.view({like.size(0), like.size(1), -1, like.size(2), like.size(3)});
  return each.size(2) == 1 ? each.squeeze(2) : each.sum(2);
}

}  // namespace longspan
