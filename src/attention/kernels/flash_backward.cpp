#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include <algorithm>
#include <vector>

#include "src/attention/kernels/backward_plan.h"
#include "src/attention/kernels/flash_attention.h"
#include "src/attention/kernels/flash_operands.h"
#include "src/simd/operators.h"

namespace longspan {
namespace {

// For g query heads a key/value head, a head in work takes tokens * D * (6 + 4 g) bytes in bf16 and
// (12 + 4 g) in float32, and the dQ shares of its further parts up to 4 g each: 280 MB for 100K
// tokens, D = 128 and g = 4 in bf16.
constexpr int64_t kBackwardWorkspaceBytes = int64_t{512} << 20;

/// K panels, V panels and K pairs.
constexpr int64_t kPackedOperands = 3;

/// Rows of dQ that one task sums over the parts.
constexpr int64_t kSumRows = 512;

struct BackwardPass {
  const at::Tensor& grad_out;
  const at::Tensor& grad_log_sum_exp;  // or undefined
  const at::Tensor& q;
  const at::Tensor& k;
  const at::Tensor& v;
  const VisibleKeys& visible;
  const AttentionResult& forward;
  const flash::Kernels& kernels;
  AttentionGradients result;
  at::Tensor delta;  // [B, H, Tq] float32: grad_out . out - grad_log_sum_exp
  flash::Geometry geometry;
  int64_t groups;      // query heads a key/value head
  int64_t key_dwords;  // of one packed operand of one key/value head

  int64_t packed_dwords_per_head() const { return kPackedOperands * key_dwords; }
};

/// One key/value head of a wave.
struct HeadWork {
  int64_t b;
  int64_t h;
  uint32_t* packed;  // kPackedOperands
  std::vector<flash::BackwardHead> heads;
  std::vector<flash::KeyPart> parts;
  std::vector<flash::GradQuery> grad_q;  // [parts][groups]
};

HeadWork head_work(const BackwardPass& bw, int64_t index, uint32_t* packed, int64_t parts) {
  HeadWork work{index / bw.k.size(1), index % bw.k.size(1), packed, {}, {}, {}};
  std::vector<flash::Visible> visible;
  for (int64_t g = 0; g < bw.groups; ++g) {
    const int64_t h = work.h * bw.groups + g;
    const int64_t head = work.b * bw.q.size(1) + h;
    const int64_t row = head * bw.geometry.queries;
    visible.push_back(flash::visible_of(bw.visible, head));
    work.heads.push_back({.q = flash::rows_of(bw.q, work.b, h),
                          .grad_out = flash::rows_of(bw.grad_out, work.b, h),
                          .log_sum_exp = bw.forward.log_sum_exp.const_data_ptr<float>() + row,
                          .delta = bw.delta.const_data_ptr<float>() + row,
                          .visible = visible.back()});
  }
  work.parts = flash::cut_keys(bw.geometry, visible,
                               bw.kernels.backward_key_block(bw.geometry.head_dim), parts);
  return work;
}

void pack_keys(const BackwardPass& bw, const HeadWork& work, int64_t begin) {
  const int64_t keys = bw.geometry.keys, head_dim = bw.geometry.head_dim;
  const int64_t end = flash::pack_end(begin, keys);
  const flash::Rows k = flash::rows_of(bw.k, work.b, work.h);
  bw.kernels.pack_panels(k, keys, head_dim, begin, end, work.packed);
  bw.kernels.pack_panels(flash::rows_of(bw.v, work.b, work.h), keys, head_dim, begin, end,
                         work.packed + bw.key_dwords);
  bw.kernels.pack_pairs(k, keys, head_dim, begin, end, work.packed + 2 * bw.key_dwords);
}

void compute_delta(const BackwardPass& bw, const HeadWork& work, int64_t group, int64_t begin) {
  const int64_t queries = bw.geometry.queries, h = work.h * bw.groups + group;
  const int64_t row = (work.b * bw.q.size(1) + h) * queries;
  const int64_t end = std::min(begin + flash::kPackRows, queries);
  float* delta = bw.delta.mutable_data_ptr<float>() + row;
  bw.kernels.row_dot_products(work.heads[group].grad_out, flash::rows_of(bw.forward.out, work.b, h),
                              bw.geometry.head_dim, begin, end, delta);
  if (!bw.grad_log_sum_exp.defined()) return;
  const float* grad = bw.grad_log_sum_exp.const_data_ptr<float>() + row;
  for (int64_t i = begin; i < end; ++i) delta[i] -= grad[i];
}

/// What the parts share.
void prepare(const BackwardPass& bw, const std::vector<HeadWork>& wave) {
  const int64_t key_chunks = flash::pack_chunks(bw.geometry.keys);
  const int64_t query_chunks = flash::pack_chunks(bw.geometry.queries);
  const int64_t tasks_per_head = key_chunks + bw.groups * query_chunks;
  const auto heads = static_cast<int64_t>(wave.size());
  flash::run_tasks(heads * tasks_per_head, 1, [&](int64_t task, void*) {
    const HeadWork& work = wave[task / tasks_per_head];
    const int64_t piece = task % tasks_per_head;
    if (piece < key_chunks) {
      pack_keys(bw, work, piece * flash::kPackRows);
    } else {
      const int64_t query_piece = piece - key_chunks;
      compute_delta(bw, work, query_piece / query_chunks,
                    query_piece % query_chunks * flash::kPackRows);
    }
  });
}

/// Gives each part of each head its share of dQ in one allocation.
c10::DataPtr place_grad_queries(const BackwardPass& bw, std::vector<HeadWork>& wave) {
  int64_t floats = 0;
  for (const HeadWork& work : wave) {
    for (const flash::KeyPart& part : work.parts) floats += part.grad_q_floats;
  }
  c10::DataPtr memory = c10::GetCPUAllocator()->allocate(floats * sizeof(float));
  float* next = flash::as<float>(memory);
  for (HeadWork& work : wave) {
    for (const flash::KeyPart& part : work.parts) {
      for (flash::GradQuery share : part.grad_q) {
        share.data = next;
        next += (share.row_end - share.row_begin + flash::kGradQueryPadding) * bw.geometry.head_dim;
        work.grad_q.push_back(share);
      }
    }
  }
  return memory;
}

void run_parts(const BackwardPass& bw, const std::vector<HeadWork>& wave) {
  std::vector<flash::BackwardTask> tasks;
  for (const HeadWork& work : wave) {
    for (size_t part = 0; part < work.parts.size(); ++part) {
      tasks.push_back({.k_panels = work.packed,
                       .v_panels = work.packed + bw.key_dwords,
                       .k_pairs = work.packed + 2 * bw.key_dwords,
                       .heads = work.heads.data(),
                       .grad_q = work.grad_q.data() + part * bw.groups,
                       .num_heads = bw.groups,
                       .key_begin = work.parts[part].key_begin,
                       .key_end = work.parts[part].key_end,
                       .grad_k = flash::mutable_rows_of(bw.result.k, work.b, work.h),
                       .grad_v = flash::mutable_rows_of(bw.result.v, work.b, work.h)});
    }
  }
  flash::run_tasks(
      static_cast<int64_t>(tasks.size()), bw.kernels.backward_scratch_bytes(bw.geometry.head_dim),
      [&](int64_t i, void* scratch) { bw.kernels.backward_task(bw.geometry, tasks[i], scratch); });
}

void sum_parts(const BackwardPass& bw, const std::vector<HeadWork>& wave) {
  const int64_t chunks = (bw.geometry.queries + kSumRows - 1) / kSumRows;
  const int64_t tasks_per_head = bw.groups * chunks;
  const auto heads = static_cast<int64_t>(wave.size());
  flash::run_tasks(heads * tasks_per_head, 1, [&](int64_t task, void*) {
    const HeadWork& work = wave[task / tasks_per_head];
    const int64_t group = task % tasks_per_head / chunks;
    const int64_t begin = task % chunks * kSumRows;
    bw.kernels.sum_grad_query(
        work.grad_q.data() + group, bw.groups, static_cast<int64_t>(work.parts.size()),
        bw.geometry.head_dim, bw.geometry.scale, begin,
        std::min(begin + kSumRows, bw.geometry.queries),
        flash::mutable_rows_of(bw.result.q, work.b, work.h * bw.groups + group));
  });
}

/// What a key/value head takes, and how many are at work.
struct Workspace {
  int64_t packed_bytes, grad_q_bytes;  // grad_q: of one part that all queries see
  flash::Waves waves;
  int64_t parts;  // of a head
};

Workspace workspace_of(const flash::Kernels& kernels, const at::Tensor& q, const at::Tensor& k,
                       int64_t threads) {
  const int64_t packed = kPackedOperands * flash::packed_dwords(kernels, k.size(2), k.size(3)) *
                         static_cast<int64_t>(sizeof(uint32_t));
  const int64_t grad_q =
      q.size(1) / k.size(1) * q.size(2) * q.size(3) * static_cast<int64_t>(sizeof(float));
  const flash::Waves waves(q.size(0) * k.size(1), packed + grad_q, kBackwardWorkspaceBytes);
  return {packed, grad_q, waves, flash::parts_per_head(waves.heads_per_wave, threads)};
}

}  // namespace

int64_t flash_backward_workspace_bytes(const at::Tensor& q, const at::Tensor& k, int64_t threads) {
  const flash::Kernels* kernels = flash::kernels_for(q);
  if (!kernels) return 0;
  const Workspace w = workspace_of(*kernels, q, k, threads);
  // The further parts of a head see fewer queries.
  return w.waves.heads_per_wave * (w.packed_bytes + w.grad_q_bytes * (w.parts + 1) / 2);
}

AttentionGradients flash_backward(const at::Tensor& grad_out, const at::Tensor& grad_log_sum_exp,
                                  const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                  const VisibleKeys& visible, const AttentionResult& forward) {
  const flash::Kernels& kernels = flash::needed_kernels_for(q);
  const at::Tensor grad_lse =
      grad_log_sum_exp.defined() ? grad_log_sum_exp.contiguous() : grad_log_sum_exp;
  BackwardPass bw{grad_out,
                  grad_lse,
                  q,
                  k,
                  v,
                  visible,
                  forward,
                  kernels,
                  {time_major_like(q), time_major_like(k), time_major_like(v)},
                  at::empty_like(forward.log_sum_exp),
                  flash::geometry_of(q, k),
                  q.size(1) / k.size(1),
                  flash::packed_dwords(kernels, k.size(2), k.size(3))};
  const Workspace workspace = workspace_of(kernels, q, k, at::get_num_threads());
  const flash::Waves& waves = workspace.waves;
  const c10::DataPtr packed =
      c10::GetCPUAllocator()->allocate(waves.heads_per_wave * workspace.packed_bytes);
  for (int64_t head = 0; head < waves.heads; head += waves.heads_per_wave) {
    std::vector<HeadWork> wave;
    for (int64_t i = 0; i < std::min(waves.heads_per_wave, waves.heads - head); ++i) {
      wave.push_back(head_work(bw, head + i,
                               flash::as<uint32_t>(packed) + i * bw.packed_dwords_per_head(),
                               workspace.parts));
    }
    const c10::DataPtr grad_q = place_grad_queries(bw, wave);
    prepare(bw, wave);
    run_parts(bw, wave);
    sum_parts(bw, wave);
  }
  return bw.result;
}

}  // namespace longspan
