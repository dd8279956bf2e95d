#include <ATen/ops/empty.h>

#include <algorithm>
#include <vector>

#include "src/attention/kernels/flash_attention.h"
#include "src/attention/kernels/flash_operands.h"
#include "src/simd/operators.h"

namespace longspan {
namespace {

// Packed keys and values of the heads in work; one head of 100K tokens and D = 128 takes 51 MB.
constexpr int64_t kForwardWorkspaceBytes = int64_t{256} << 20;

struct ForwardPass {
  const at::Tensor& q;
  const at::Tensor& k;
  const at::Tensor& v;
  const VisibleKeys& visible;
  const flash::Kernels& kernels;
  flash::Geometry geometry;
  int64_t dwords;  // of one packed operand of one head
  AttentionResult result;
};

struct QueryBlock {
  int64_t head;       // in b * H + h
  int64_t wave_slot;  // of its packed keys and values
  int64_t first_row;
};

/// Whether `keys` holds any between the first and the last key that a query head of key/value head
/// `head`, of those of the whole batch, sees in its intervals, or among its sinks.
bool sees(const ForwardPass& f, int64_t head, flash::Range keys) {
  const int64_t groups = f.q.size(1) / f.k.size(1), last_row = f.geometry.queries - 1;
  for (int64_t g = 0; g < groups; ++g) {
    const flash::Visible visible = flash::visible_of(f.visible, head * groups + g);
    for (const bool sinks : {false, true}) {
      if (sinks && !f.visible.sinks.defined()) continue;
      const flash::Range seen = flash::keys_seen(f.geometry, visible, sinks, 0, last_row);
      if (seen.begin < keys.end && keys.begin < seen.end) return true;
    }
  }
  return false;
}

/// Chunks that nothing sees stay unwritten: each token decoded packs the cache anew, of which a
/// window reads little.
void pack_keys_and_values(const ForwardPass& f, int64_t first_head, int64_t heads,
                          uint32_t* packed) {
  const int64_t chunks = flash::pack_chunks(f.geometry.keys);
  flash::run_tasks(heads * chunks, 1, [&](int64_t task, void*) {
    const int64_t slot = task / chunks;
    const int64_t b = (first_head + slot) / f.k.size(1);
    const int64_t h = (first_head + slot) % f.k.size(1);
    const int64_t begin = task % chunks * flash::kPackRows;
    const int64_t end = flash::pack_end(begin, f.geometry.keys);
    if (!sees(f, first_head + slot, {begin, end})) return;
    uint32_t* to = packed + slot * 2 * f.dwords;
    f.kernels.pack_panels(flash::rows_of(f.k, b, h), f.geometry.keys, f.geometry.head_dim, begin,
                          end, to);
    f.kernels.pack_pairs(flash::rows_of(f.v, b, h), f.geometry.keys, f.geometry.head_dim, begin,
                         end, to + f.dwords);
  });
}

/// The query blocks of a wave, the last rows first: where attention is causal they see the most
/// keys, and no long block is left for the end. Blocks of the same rows follow each other: their
/// rows of q and of the result lie side by side in memory, and they see about the same keys.
std::vector<QueryBlock> query_blocks(const ForwardPass& f, int64_t first_head, int64_t heads) {
  const int64_t groups = f.q.size(1) / f.k.size(1);
  std::vector<QueryBlock> blocks;
  for (int64_t row = (f.geometry.queries - 1) / flash::kForwardRows * flash::kForwardRows; row >= 0;
       row -= flash::kForwardRows) {
    for (int64_t slot = 0; slot < heads; ++slot) {
      // b * H + h, because H is groups * Hkv.
      const int64_t head = (first_head + slot) * groups;
      for (int64_t g = 0; g < groups; ++g) blocks.push_back({head + g, slot, row});
    }
  }
  return blocks;
}

void attend(const ForwardPass& f, const QueryBlock& block, const uint32_t* packed, void* scratch) {
  const int64_t b = block.head / f.q.size(1);
  const int64_t h = block.head % f.q.size(1);
  const int64_t queries = f.geometry.queries;
  const uint32_t* keys = packed + block.wave_slot * 2 * f.dwords;
  const flash::ForwardTask task{
      .q = flash::rows_of(f.q, b, h),
      .k_panels = keys,
      .v_pairs = keys + f.dwords,
      .visible = flash::visible_of(f.visible, block.head),
      .out = flash::mutable_rows_of(f.result.out, b, h),
      .log_sum_exp = f.result.log_sum_exp.mutable_data_ptr<float>() + block.head * queries,
      .first_row = block.first_row,
      .rows = std::min(flash::kForwardRows, queries - block.first_row)};
  f.kernels.forward_task(f.geometry, task, scratch);
}

/// Keys and values.
int64_t packed_bytes_per_head(const flash::Kernels& kernels, const at::Tensor& k) {
  return 2 * flash::packed_dwords(kernels, k.size(2), k.size(3)) *
         static_cast<int64_t>(sizeof(uint32_t));
}

}  // namespace

bool flash_attention_supports(const at::Tensor& q) { return flash::kernels_for(q) != nullptr; }

int64_t flash_forward_workspace_bytes(const at::Tensor& q, const at::Tensor& k) {
  const flash::Kernels* kernels = flash::kernels_for(q);
  if (!kernels) return 0;
  const int64_t bytes = packed_bytes_per_head(*kernels, k);
  return bytes * flash::Waves(k.size(0) * k.size(1), bytes, kForwardWorkspaceBytes).heads_per_wave;
}

AttentionResult flash_forward(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                              const VisibleKeys& visible) {
  if (q.size(2) == 1) return flash_row_forward(q, k, v, visible);
  const int64_t batch = q.size(0), query_heads = q.size(1), queries = q.size(2);
  const flash::Kernels& kernels = flash::needed_kernels_for(q);
  ForwardPass f{q,
                k,
                v,
                visible,
                kernels,
                flash::geometry_of(q, k),
                flash::packed_dwords(kernels, k.size(2), k.size(3)),
                {}};
  f.result.out = time_major_like(q);
  f.result.log_sum_exp = at::empty({batch, query_heads, queries}, q.options().dtype(at::kFloat));
  const int64_t bytes = packed_bytes_per_head(kernels, k);
  const flash::Waves waves(batch * k.size(1), bytes, kForwardWorkspaceBytes);
  const c10::DataPtr packed = c10::GetCPUAllocator()->allocate(bytes * waves.heads_per_wave);
  for (int64_t head = 0; head < waves.heads; head += waves.heads_per_wave) {
    const int64_t heads = std::min(waves.heads_per_wave, waves.heads - head);
    pack_keys_and_values(f, head, heads, flash::as<uint32_t>(packed));
    const std::vector<QueryBlock> blocks = query_blocks(f, head, heads);
    flash::run_tasks(static_cast<int64_t>(blocks.size()),
                     f.kernels.forward_scratch_bytes(f.geometry.head_dim),
                     [&](int64_t i, void* scratch) {
                       attend(f, blocks[i], flash::as<uint32_t>(packed), scratch);
                     });
  }
  return f.result;
}

}  // namespace longspan
