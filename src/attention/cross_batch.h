#pragma once

#include <vector>

#include "src/attention/kernels/interval_attention.h"

namespace longspan {

/// Earlier windows in the batch that a window attends to.
struct CrossBatchContexts {
  int64_t positives = 0;  // the nearest before it in its own document
  int64_t negatives = 0;  // the nearest of the documents before its own
};

/// The contexts of each window of a document: as many entries as windows of a document lie side by
/// side in the batch. LongLLaMA-3B's is (0,0) (1,1) (2,1) (3,0).
using CrossBatchSchedule = std::vector<CrossBatchContexts>;

CrossBatchSchedule long_llama_3b_schedule();

/// How many earlier windows all rows of a batch attend to together.
int64_t cross_batch_contexts(const CrossBatchSchedule& schedule, int64_t rows);
/// The most that a row attends to in one piece: windows side by side in the batch.
int64_t most_contexts_at_once(const CrossBatchSchedule& schedule, int64_t rows);

/// The training attention of the Focused Transformer (Tworkowski et al. 2023, arXiv 2307.03170;
/// cross_batch_attention of long_llama): each row of the batch is a window that attends, under one
/// softmax, to itself and to whole earlier rows, whose keys are `first_k`: as they would be at
/// position 0. Later rows are never seen; what a schedule asks for before the first row is left
/// out.
///
///   q, k, v, first_k  [B, H, T, D] and [B, Hkv, T, D]; B is a multiple of the schedule's size
///   local             what each query sees of its own row, to which it belongs
///
/// Gradients go through all keys and values. `kept` is that of interval_attention.
at::Tensor cross_batch_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                 const at::Tensor& first_k, const VisibleKeys& local,
                                 const CrossBatchSchedule& schedule,
                                 AttentionResult* kept = nullptr);

}  // namespace longspan
