#include "trainer/eval/arms/block_memory_attention.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/topk.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <numeric>
#include <stdexcept>

namespace longspan {

/// What tokens that look up together may see: `blocks` to choose from, and all from `local` on.
struct BlockMemoryAttention::Seen {
  int64_t blocks = 0;
  int64_t local = 0;
};

namespace {

/// Of the query heads of each key head: [1, H, T, D] -> [1, Hkv, T, D].
at::Tensor sum_of_groups(const at::Tensor& q, int64_t key_heads) {
  return q.unflatten(1, {key_heads, -1}).sum(2);
}

/// The best `count`, in the order of the text.
std::vector<int64_t> best_blocks(const at::Tensor& relevance, int64_t count) {
  const at::Tensor places = std::get<1>(at::topk(relevance, count)).cpu().contiguous();
  const auto* first = places.const_data_ptr<int64_t>();
  std::vector<int64_t> blocks(first, first + count);
  std::ranges::sort(blocks);
  return blocks;
}

void append_range(std::vector<int64_t>& places, int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end; ++i) places.push_back(i);
}

at::Tensor row_of(const std::vector<int64_t>& values, const at::Tensor& like) {
  return at::tensor(values, at::kLong).to(like.device());
}

}  // namespace

std::shared_ptr<LayerState> BlockMemoryAttention::make_state(int64_t) const {
  return std::make_shared<BlockMemoryState>(options_);
}

void BlockMemoryAttention::fields(FieldsIo& io) { longspan::fields(io, options_); }

BlockMemoryAttention::Seen BlockMemoryAttention::seen_from(int64_t first,
                                                           int64_t sliding_window) const {
  const int64_t far = first - options_.window_tokens - options_.initial_tokens;
  // A layer with a window of its own looks no further.
  if (far < options_.block_tokens || sliding_window > 0) return {};
  const int64_t blocks = far / options_.block_tokens;
  return {blocks, options_.initial_tokens + blocks * options_.block_tokens};
}

at::Tensor BlockMemoryAttention::attend_together(const at::Tensor& q,
                                                 const AttentionContext& context, int64_t first,
                                                 const KeysAndValues& all,
                                                 BlockMemoryState& state) const {
  const int64_t tokens = q.size(2), end = first + tokens, key_heads = all.k.size(1);
  const Seen seen = seen_from(first, context.sliding_window);
  std::vector<int64_t> places;  // of the keys, in the text
  if (seen.blocks > 0) {
    append_range(places, 0, options_.initial_tokens);
    std::vector<int64_t> chosen(static_cast<size_t>(seen.blocks));
    std::iota(chosen.begin(), chosen.end(), int64_t{0});
    if (options_.top_k < seen.blocks) {
      const at::Tensor query =
          tokens == 1 ? sum_of_groups(q, key_heads)[0].select(1, 0) : state.queries_before(first);
      chosen = best_blocks(state.relevance(query, seen.blocks, all.k), options_.top_k);
    }
    for (const int64_t block : chosen) {
      const int64_t begin = options_.initial_tokens + block * options_.block_tokens;
      append_range(places, begin, begin + options_.block_tokens);
    }
  }
  const auto far = std::ssize(places);
  append_range(places, seen.local, end);
  const at::Tensor index = row_of(places, q);

  std::vector<int64_t> positions = places;
  int64_t query_position = first;
  if (one_far_position_ && seen.blocks > 0) {
    std::fill_n(positions.begin(), far, int64_t{0});
    for (auto i = far; i < std::ssize(positions); ++i) positions[i] += 1 - seen.local;
    query_position += 1 - seen.local;
  }
  const at::Tensor key_positions = row_of(positions, q).unsqueeze(0);
  const at::Tensor query_positions =
      at::arange(query_position, query_position + tokens, key_positions.options()).unsqueeze(0);
  at::Tensor begin = at::zeros({tokens}, at::kInt);
  if (context.sliding_window > 0) {
    begin = at::arange(first, end, begin.options()).add(1 - context.sliding_window).clamp_min(0);
  }
  begin = begin.expand({q.size(0), q.size(1), tokens}).contiguous();
  return interval_attention(context.rotary.at(query_positions).rotate(q),
                            context.rotary.at(key_positions).rotate(all.k.index_select(2, index)),
                            all.v.index_select(2, index), {begin});
}

at::Tensor BlockMemoryAttention::attend(const Heads& heads, const AttentionContext& context) const {
  if (heads.q.size(0) != 1 || context.document_ids.defined() || at::GradMode::is_enabled()) {
    throw std::logic_error("block_memory attention reads one text at a time, without gradients");
  }
  BlockMemoryState own(options_);
  auto& state = context.state ? dynamic_cast<BlockMemoryState&>(*context.state) : own;
  const KeysAndValues all = state.read(context.first_position, heads.k, heads.v);
  state.note_queries(context.first_position, sum_of_groups(heads.q, heads.k.size(1)));
  const bool each_alone = heads.q.size(2) <= options_.query_tokens / 8;
  std::vector<at::Tensor> outputs;
  for (int64_t begin = 0; begin < heads.q.size(2);) {
    const int64_t first = context.first_position + begin;
    const int64_t together = each_alone
                                 ? 1
                                 : std::min(options_.query_tokens - first % options_.query_tokens,
                                            heads.q.size(2) - begin);
    outputs.push_back(
        attend_together(heads.q.narrow(2, begin, together), context, first, all, state));
    begin += together;
  }
  return at::cat(outputs, 2);
}

int64_t BlockMemoryAttention::scored_pairs(int64_t seq_len, int64_t num_heads) const {
  int64_t pairs = 0;
  for (int64_t first = 0; first < seq_len; first += options_.query_tokens) {
    const int64_t tokens = std::min(options_.query_tokens, seq_len - first);
    const Seen seen = seen_from(first, /*sliding_window=*/0);
    int64_t before = first - seen.local;
    if (seen.blocks > 0) {
      before +=
          options_.initial_tokens + std::min(options_.top_k, seen.blocks) * options_.block_tokens;
    }
    pairs += tokens * before + tokens * (tokens + 1) / 2;
  }
  return num_heads * pairs;
}

}  // namespace longspan
