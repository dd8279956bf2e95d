#include "src/attention/memory_search.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/amax.h>
#include <ATen/ops/amin.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/matmul.h>

#include <algorithm>
#include <utility>

#include "src/attention/key_starts.h"
#include "src/simd/operators.h"

namespace longspan {

namespace {

constexpr int64_t kQueriesTogether = 64;  // that search one set of pages

/// Where those before lie: memory in a file is on the host, what a GPU has just read is not.
at::Tensor with_pages(const at::Tensor& before, const std::vector<at::Tensor>& pages) {
  const at::Tensor more = at::cat(pages, 2);
  return before.defined() ? at::cat({before, more.to(before.device())}, 2) : more;
}

/// [B, Hkv, pages, D] -> [B, H, D, pages].
at::Tensor of_query_heads(const at::Tensor& x, int64_t heads) {
  return x.repeat_interleave(heads / x.size(1), 1).transpose(2, 3);
}

/// The keys and values of some pages of a row and key/value head, one behind the other.
KeysAndValues keys_of_pages(const MemoryBlocks& memory, const PageIndex& index,
                            const int64_t* pages, int64_t count, int64_t row, int64_t head,
                            const at::TensorOptions& options) {
  std::vector<at::Tensor> k, v;
  for (int64_t i = 0; i < count; ++i) {
    const PageIndex::Page& page = index.pages()[static_cast<size_t>(pages[i])];
    KeysAndValues part = memory[page.block]->recall(row, head, page.begin, page.tokens, options);
    k.push_back(std::move(part.k));
    v.push_back(std::move(part.v));
  }
  return {at::cat(k, 2), at::cat(v, 2)};
}

}  // namespace

PageIndex PageIndex::with(const MemoryBlock& block) const {
  PageIndex index = *this;
  const at::Tensor k = block.recall(block.stored_k().codes.options().dtype(at::kFloat)).k;
  std::vector<at::Tensor> low, high;
  for (int64_t begin = 0; begin < block.tokens(); begin += page_tokens_) {
    const int64_t tokens = std::min(page_tokens_, block.tokens() - begin);
    const at::Tensor page = k.narrow(2, begin, tokens);
    low.push_back(page.amin(2, /*keepdim=*/true));
    high.push_back(page.amax(2, /*keepdim=*/true));
    index.pages_.push_back({index.blocks_, begin, tokens});
  }
  index.low_ = with_pages(low_, low);
  index.high_ = with_pages(high_, high);
  ++index.blocks_;
  return index;
}

at::Tensor PageIndex::bounds(const at::Tensor& q) const {
  const at::Tensor x = q.to(low_.options());
  const int64_t heads = q.size(1);
  return at::matmul(x.clamp_min(0), of_query_heads(high_, heads)) +
         at::matmul(x.clamp_max(0), of_query_heads(low_, heads));
}

at::Tensor PageIndex::find(const at::Tensor& q, int64_t count) const {
  const int64_t pages = std::ssize(pages_);
  const at::Tensor best =
      bounds(q).amax(2).unflatten(1, {low_.size(1), -1}).amax(2);  // [B, Hkv, pages]
  const at::Tensor found = std::get<1>(best.topk(std::min(count, pages), -1));
  return std::get<0>(found.sort(-1));
}

AttentionResult attend_found_pages(const at::Tensor& q, const MemoryBlocks& memory,
                                   const PageIndex& index, int64_t count) {
  const at::NoGradGuard no_gradients;
  AttentionResult all{
      time_major_like(q),
      at::empty(q.sizes().slice(0, 3), q.options().dtype(at::toOpMathType(q.scalar_type())))};
  const int64_t together = q.size(2) <= kQueriesTogether ? 1 : kQueriesTogether;
  for (int64_t first = 0; first < q.size(2); first += together) {
    const int64_t tokens = std::min(together, q.size(2) - first);
    const at::Tensor queries = q.narrow(2, first, tokens);
    const int64_t asking = std::min(together, first + 1);
    const at::Tensor found =
        index.find(q.narrow(2, first + 1 - asking, asking), count).cpu().contiguous();
    const int64_t key_heads = found.size(1), group = q.size(1) / key_heads;
    for (int64_t i = 0; i < found.size(0) * key_heads; ++i) {
      const int64_t row = i / key_heads, head = i % key_heads;
      const auto part = [&](const at::Tensor& x) {
        return x.narrow(0, row, 1).narrow(1, head * group, group);
      };
      const KeysAndValues keys =
          keys_of_pages(memory, index, found.const_data_ptr<int64_t>() + i * found.size(2),
                        found.size(2), row, head, q.options());
      const at::Tensor own = part(queries);
      const AttentionResult here =
          partial_attention(own, keys.k, keys.v, all_keys(own, keys.k.size(2)));
      part(all.out.narrow(2, first, tokens)).copy_(here.out);
      part(all.log_sum_exp.narrow(2, first, tokens)).copy_(here.log_sum_exp);
    }
  }
  return all;
}

}  // namespace longspan
