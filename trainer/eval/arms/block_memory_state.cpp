#include "trainer/eval/arms/block_memory_state.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/topk.h>
#include <ATen/ops/zeros.h>

#include <algorithm>

namespace longspan {

void fields(FieldsIo& io, BlockMemoryOptions& options) {
  constexpr int64_t kMost = int64_t{1} << 30;
  io.whole("initial_tokens", options.initial_tokens, {0, kMost},
           "tokens at the beginning that all see");
  io.whole("window_tokens", options.window_tokens, {1, kMost},
           "tokens before it that each sees at least");
  io.whole("block_tokens", options.block_tokens, {1, kMost}, "tokens of a block of the memory");
  io.whole("top_k", options.top_k, {0, kMost}, "blocks that are looked up");
  io.whole("representatives", options.representatives, {1, kMost},
           "keys by which a block is found");
  io.whole(
      "query_tokens", options.query_tokens, {1, kMost},
      "tokens that look up together, by the queries of as many tokens before them; a pass of an "
      "eighth as many or fewer looks up for each by its own");
  if (options.window_tokens < options.block_tokens) {
    io.error("window_tokens",
             "is less than block_tokens, expected at least one block: the queries in the window "
             "choose a block's representatives");
  }
}

KeysAndValues BlockMemoryState::read(int64_t first_position, const at::Tensor& k,
                                     const at::Tensor& v) {
  return cache_->read(first_position, k, v);
}

void BlockMemoryState::commit() {
  cache_->commit();
  query_sums_ = pending_sums_;
  const int64_t kept = std::min(pending_queries_.size(1), options_.query_tokens);
  last_queries_ = pending_queries_.narrow(1, pending_queries_.size(1) - kept, kept).clone();
  pending_queries_ = last_queries_;
}

std::shared_ptr<LayerState> BlockMemoryState::fork() const {
  auto other = std::make_shared<BlockMemoryState>(*this);
  other->cache_ = cache_->fork();
  return other;
}

void BlockMemoryState::note_queries(int64_t first_position, const at::Tensor& q) {
  const int64_t tokens = q.size(2), initial = options_.initial_tokens;
  const int64_t end = first_position + tokens;
  pending_queries_ = last_queries_.defined() ? at::cat({last_queries_, q[0]}, 1) : q[0];
  noted_ = end;
  const int64_t blocks =
      (std::max<int64_t>(0, end - initial) + options_.block_tokens - 1) / options_.block_tokens;
  pending_sums_ = at::zeros({blocks, q.size(1), q.size(3)}, q.options().dtype(at::kFloat));
  if (query_sums_.defined()) pending_sums_.narrow(0, 0, query_sums_.size(0)).copy_(query_sums_);
  const int64_t skipped = std::clamp<int64_t>(initial - first_position, 0, tokens);
  if (skipped == tokens) return;
  const int64_t first = first_position + skipped - initial;
  const at::Tensor block = at::arange(first, end - initial, q.options().dtype(at::kLong))
                               .div(options_.block_tokens, "floor");
  const at::Tensor summed = q[0].narrow(1, skipped, tokens - skipped).transpose(0, 1);
  pending_sums_.index_add_(0, block, summed.to(at::kFloat));
}

at::Tensor BlockMemoryState::queries_before(int64_t position) const {
  const int64_t end = position - (noted_ - pending_queries_.size(1));
  const int64_t tokens = std::min(end, options_.query_tokens);
  return pending_queries_.narrow(1, end - tokens, tokens).sum(1);
}

void BlockMemoryState::represent(int64_t blocks, const at::Tensor& keys) {
  const int64_t known = representatives_.defined() ? representatives_.size(0) : 0;
  if (blocks <= known) return;
  const int64_t count = blocks - known, size = options_.block_tokens;
  const int64_t window_blocks = options_.window_tokens / size;
  const at::Tensor block_keys = keys[0]
                                    .narrow(1, options_.initial_tokens + known * size, count * size)
                                    .unflatten(1, {count, size})
                                    .to(at::kFloat);  // [Hkv, count, size, D]
  const at::Tensor queries = pending_sums_.narrow(0, known + 1, count + window_blocks - 1)
                                 .unfold(0, window_blocks, 1)
                                 .sum(-1)
                                 .transpose(0, 1);  // [Hkv, count, D]
  const at::Tensor scores =
      (block_keys * queries.unsqueeze(2)).sum(at::IntArrayRef({0, 3}));  // [count, size]
  const int64_t chosen = std::min(options_.representatives, size);
  const at::Tensor places = std::get<1>(at::topk(scores, chosen, 1));  // [count, chosen]
  const at::Tensor index = places.unsqueeze(0).unsqueeze(-1).expand(
      {block_keys.size(0), count, chosen, block_keys.size(3)});
  const at::Tensor sums = block_keys.gather(2, index).sum(2).transpose(0, 1).flatten(1);
  representatives_ = representatives_.defined() ? at::cat({representatives_, sums}) : sums;
}

at::Tensor BlockMemoryState::relevance(const at::Tensor& query, int64_t blocks,
                                       const at::Tensor& keys) {
  represent(blocks, keys);
  return at::matmul(representatives_.narrow(0, 0, blocks), query.to(at::kFloat).flatten());
}

}  // namespace longspan
