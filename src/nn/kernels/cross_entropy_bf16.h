#pragma once

#include <cstdint>

namespace longspan::bf16 {

/// losses[row] = log(sum_v e^logits[row][v]) - logits[row][label], 0 in rows whose label is
/// negative; logits [rows, size]. With `gradient` the logits become their own gradient, softmax -
/// one_hot(label), rounded once; 0 in rows whose label is negative. No label may exceed size - 1.
void cross_entropy_rows(uint16_t* logits, const int64_t* labels, int64_t rows, int64_t size,
                        bool gradient, float* losses);

}  // namespace longspan::bf16
