#pragma once

#include <cstdint>
#include <vector>

#include "src/attention/kernels/flash_kernels.h"

namespace longspan::flash {

/// The keys of one key/value head, cut into parts for the threads. Each part owns the dK and dV of
/// its keys and has its own fp32 share of dQ, over the rows that see them.
struct KeyPart {
  int64_t key_begin;
  int64_t key_end;
  std::vector<GradQuery> grad_q;  // one a query head; data still null
  int64_t grad_q_floats;          // of all query heads
};

/// In how many parts to cut each head, so that the threads have equal shares of `heads` heads:
/// the least number that keeps them 90 % busy.
int64_t parts_per_head(int64_t heads, int64_t threads);

/// Cuts the keys at multiples of `key_block` into at most `parts` parts of about equal numbers of
/// scored pairs. `heads` holds one entry a query head.
std::vector<KeyPart> cut_keys(const Geometry& geometry, const std::vector<Visible>& heads,
                              int64_t key_block, int64_t parts);

}  // namespace longspan::flash
