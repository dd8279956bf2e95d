#include "tools/bench/observed_memory.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include <algorithm>

#include "src/attention/focused_memory_state.h"
#include "tools/bench/timing.h"

namespace longspan {

namespace {

constexpr int64_t kTopKeys = 16;

/// The queries of the pass, turned by their places in their windows: [B, H, T, D].
at::Tensor turned_queries(const Heads& heads, const AttentionContext& context,
                          FocusedMemoryState& state, bool turns) {
  if (!turns) return heads.q;
  const int64_t first = context.first_position, tokens = heads.q.size(2);
  const at::Tensor begins =
      at::tensor(state.begin_pass(first, tokens, context.sequence_length), at::kLong);
  const at::Tensor places = at::arange(first, first + tokens, at::kLong) - begins;
  return context.rotary.at(places.unsqueeze(0)).rotate(heads.q);
}

PageIndex index_of(const MemoryBlocks& memory, int64_t page_tokens) {
  PageIndex index(page_tokens);
  for (const auto& block : memory) index = index.with(*block);
  return index;
}

/// The page of each key, [keys] int64.
at::Tensor page_of_each_key(const PageIndex& index) {
  std::vector<at::Tensor> pages;
  for (size_t page = 0; page < index.pages().size(); ++page) {
    pages.push_back(at::full({index.pages()[page].tokens}, static_cast<int64_t>(page), at::kLong));
  }
  return at::cat(pages);
}

/// The pages of the keys that each query of the first row scores highest, [Hkv, queries, 16].
at::Tensor pages_of_top_keys(const at::Tensor& q, const MemoryBlocks& memory,
                             const PageIndex& index) {
  const at::Tensor page_of_key = page_of_each_key(index);
  const int64_t key_heads = memory.front()->stored_k().codes.size(1);
  const int64_t top = std::min(kTopKeys, page_of_key.size(0));
  const at::Tensor queries =
      q.select(0, 0).to(at::kFloat).unflatten(0, {key_heads, -1}).flatten(1, 2);
  std::vector<at::Tensor> pages;
  for (int64_t head = 0; head < key_heads; ++head) {
    std::vector<at::Tensor> scores;
    for (const auto& block : memory) {
      const at::Tensor k = block->recall(0, head, 0, block->tokens(), at::kFloat).k.flatten(0, 2);
      scores.push_back(at::matmul(queries.select(0, head), k.t()));
    }
    const at::Tensor best = std::get<1>(at::cat(scores, 1).topk(top, 1));
    pages.push_back(page_of_key.index_select(0, best.flatten()).view_as(best));
  }
  return at::stack(pages);
}

/// The part of them that is among the pages found, [1, Hkv, count].
double part_found(const at::Tensor& pages_of_keys, const at::Tensor& found, int64_t pages) {
  at::Tensor is_found = at::zeros({found.size(1), pages}, at::kDouble);
  is_found.scatter_(1, found.select(0, 0), 1.0);
  return is_found.gather(1, pages_of_keys.flatten(1, 2)).mean().item<double>();
}

}  // namespace

void ObservedMemory::compare_searches(const Heads& heads, const AttentionContext& context,
                                      FocusedMemoryState& state) const {
  const int64_t first = context.first_position;
  const MemoryBlocks& memory = state.memory(first);
  if (memory.empty()) return;
  const at::Tensor q = turned_queries(heads, context, state, options().mem_positionals);
  const at::Tensor last = q.narrow(2, q.size(2) - 1, 1);
  const PageIndex index = index_of(memory, options().search_page_tokens);
  const at::Tensor pages_of_keys = pages_of_top_keys(q, memory, index);
  const auto dense = [&](const at::Tensor& queries) {
    return attend_memory(queries, state, first);
  };
  const at::Tensor all = dense(q).log_sum_exp;
  const double dense_seconds = best_seconds([&] { dense(q); });
  const double token_dense_seconds = best_seconds([&] { dense(last); });
  for (const int64_t pages : pages_) {
    const auto search = [&](const at::Tensor& queries) {
      return attend_found_pages(queries, memory, index, pages);
    };
    found_->push_back(
        {.layer = context.layer,
         .pages = pages,
         .mass = (search(q).log_sum_exp - all).exp().mean().item<double>(),
         .top_keys = part_found(pages_of_keys, index.find(q, pages), std::ssize(index.pages())),
         .dense_seconds = dense_seconds,
         .search_seconds = best_seconds([&] { search(q); }),
         .token_dense_seconds = token_dense_seconds,
         .token_search_seconds = best_seconds([&] { search(last); })});
  }
}

at::Tensor ObservedMemory::attend(const Heads& heads, const AttentionContext& context) const {
  // Before attend(), which begins the pass anew.
  if (!pages_.empty() && options().is_memory_layer(context.layer)) {
    compare_searches(heads, context, static_cast<FocusedMemoryState&>(*context.state));
  }
  return FocusedMemoryAttention::attend(heads, context);
}

}  // namespace longspan
