#pragma once

#include <ATen/Parallel.h>
#include <ATen/core/LegacyTypeDispatch.h>

#include <algorithm>
#include <cstdint>

namespace longspan {

constexpr int64_t kRowBlockElements = int64_t{1} << 15;

/// Rows of `size` elements of one block of for_each_row_block.
inline int64_t rows_of_block(int64_t size) {
  return std::clamp<int64_t>(kRowBlockElements / std::max<int64_t>(size, 1), 1, kRowBlockElements);
}

/// work(first row, rows, index of the block) for all rows, on all threads: LibTorch's operators on
/// so many rows leave their temporaries in the cache, where on whole tensors each would pass
/// through memory. The blocks do not depend on the number of threads. Not recorded by autograd.
template <class Work>
void for_each_row_block(int64_t rows, int64_t size, const Work& work) {
  const int64_t block = rows_of_block(size);
  at::parallel_for(0, (rows + block - 1) / block, 1, [&](int64_t begin, int64_t end) {
    const at::AutoDispatchBelowADInplaceOrView below_autograd;
    for (int64_t i = begin; i < end; ++i) {
      work(i * block, std::min(block, rows - i * block), i);
    }
  });
}

}  // namespace longspan
