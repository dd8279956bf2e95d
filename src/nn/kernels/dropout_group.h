#pragma once

#include <ATen/core/PhiloxRNGEngine.h>
#include <c10/macros/Macros.h>

#include <cstdint>

namespace longspan {

inline constexpr int kPhiloxRounds = 7;  // the fewest that pass BigCrush (Salmon et al. 2011)
inline constexpr int kDropoutGroup = 8;  // elements of a counter of Philox, by 16 bits each

/// What the rows of a mask of LoRA's dropout are drawn by, on any device.
struct DropoutDraw {
  uint64_t key = 0;                     // of the pass and the projection
  uint32_t threshold = 0;               // of 65536: an element with less is 0
  int64_t begin = 0;                    // the mask's first row among those of its input
  int64_t first_token = 0, tokens = 1;  // of each of the batch's rows

  /// Philox's, of a row of the mask.
  C10_HOST_DEVICE uint64_t subsequence(int64_t row) const {
    const auto batch_row = static_cast<uint64_t>((begin + row) / tokens);
    const auto token = static_cast<uint64_t>(first_token + (begin + row) % tokens);
    return batch_row << 32 | token;
  }
};

/// The elements from group * kDropoutGroup on of the row with this subsequence: each is 0 or
/// `kept`.
template <class T>
C10_HOST_DEVICE void draw_dropout_group(const DropoutDraw& draw, uint64_t subsequence,
                                        int64_t group, T kept, T (&out)[kDropoutGroup]) {
  at::Philox4_32 random(draw.key, subsequence, static_cast<uint64_t>(group));
  for (int i = 0; i < kDropoutGroup; i += 2) {
    const uint32_t bits = random(kPhiloxRounds);
    out[i] = (bits & 0xffff) < draw.threshold ? T(0) : kept;
    out[i + 1] = bits >> 16 < draw.threshold ? T(0) : kept;
  }
}

}  // namespace longspan
