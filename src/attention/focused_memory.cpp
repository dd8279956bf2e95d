#include "src/attention/focused_memory.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/maximum.h>
#include <ATen/ops/minimum.h>
#include <ATen/ops/tensor.h>
#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <set>

#include "src/attention/focused_memory_state.h"
#include "src/attention/kernels/joint_attention.h"
#include "src/attention/kernels/merge_attention.h"
#include "src/attention/key_starts.h"
#include "src/attention/layer_list.h"
#include "src/attention/memory_search.h"
#include "src/simd/operators.h"

namespace longspan {

namespace {

/// What queries q [B, H, T, D] see of the windows that closed since the pass began: the keys of
/// their documents before their own window, which begins at `window_begin` [T]. Keys count from
/// first_key.
KeyPart closed_windows(const AttentionContext& context, const at::Tensor& window_begin,
                       int64_t first_key, const at::Tensor& q) {
  AttentionContext whole = context;
  whole.sliding_window = 0;
  const at::Tensor end = window_begin.unsqueeze(0).expand({q.size(0), q.size(2)});
  const at::Tensor document = (key_starts(whole, q.size(0), q.size(2)) - first_key).clamp_min(0);
  return {.source = 1,
          .visible = {.begin = of_each_head(at::minimum(document, end), q.size(1)),
                      .end = of_each_head(end, q.size(1))}};
}

/// Joins `all`, which is kept in the dtype of the arithmetic, with attention over more keys.
void add_part(AttentionResult& all, const AttentionResult& part) {
  all = all.out.defined() ? merge(all, part) : AttentionResult{exact(part.out), part.log_sum_exp};
}

/// Query-key pairs of one head within windows, and `with_memory(tokens before the window)` of each
/// query.
int64_t pairs_of_windows(const WindowLengths& lengths, int64_t seq_len,
                         const std::function<int64_t(int64_t)>& with_memory) {
  int64_t pairs = 0, token = 0;
  for (const int64_t begin : ReadingWindows(lengths).read(seq_len, seq_len)) {
    pairs += token++ - begin + 1 + with_memory(begin);
  }
  return pairs;
}

}  // namespace

bool FocusedMemoryOptions::is_memory_layer(int64_t layer) const {
  return has_layer(mem_layers, layer);
}

std::shared_ptr<LayerState> FocusedMemoryAttention::make_state(int64_t layer) const {
  return std::make_shared<FocusedMemoryState>(options_, layer);
}

int64_t FocusedMemoryAttention::rope_length(int64_t seq_len) const {
  return std::min(seq_len, options_.lengths.window);
}

std::vector<int64_t> FocusedMemoryAttention::reading_passes(int64_t seq_len) const {
  const std::vector<int64_t> window_begins =
      ReadingWindows(options_.lengths).read(seq_len, seq_len);
  std::set<int64_t> ends{seq_len};
  for (int64_t i = 1; i < seq_len; ++i) {
    if (window_begins[i] != window_begins[i - 1]) ends.insert({i, i + 1});
  }
  std::vector<int64_t> passes;
  int64_t begin = 0;
  for (const int64_t end : ends) {
    passes.push_back(end - begin);
    begin = end;
  }
  return passes;
}

int64_t FocusedMemoryAttention::trained_pairs(int64_t layer, int64_t rows, int64_t seq_len,
                                              int64_t num_heads) const {
  const int64_t own = rows * (seq_len * (seq_len + 1) / 2);
  const int64_t contexts =
      options_.is_memory_layer(layer) ? cross_batch_contexts(options_.schedule, rows) : 0;
  return num_heads * (own + contexts * seq_len * seq_len);
}

int64_t FocusedMemoryAttention::other_rows(int64_t layer, int64_t rows) const {
  return options_.is_memory_layer(layer) ? most_contexts_at_once(options_.schedule, rows) : 0;
}

std::string FocusedMemoryAttention::misfit_of_batch(int64_t rows, int64_t seq_len) const {
  if (seq_len != options_.lengths.window) {
    return fmt::format("a row of {} tokens is a window, and `window` is {}; expected the same",
                       seq_len, options_.lengths.window);
  }
  if (rows % passage_rows() == 0) return {};
  return fmt::format(
      "the schedule has {0} windows of a document side by side, and a pass {1} rows; expected a "
      "batch_size that is a multiple of {0}",
      passage_rows(), rows);
}

int64_t FocusedMemoryAttention::scored_pairs(int64_t seq_len, int64_t num_heads) const {
  return num_heads *
         pairs_of_windows(options_.lengths, seq_len, [](int64_t) { return int64_t{0}; });
}

int64_t FocusedMemoryAttention::read_pairs(int64_t layer, int64_t seq_len,
                                           int64_t num_heads) const {
  if (!options_.is_memory_layer(layer)) return scored_pairs(seq_len, num_heads);
  const int64_t page = options_.search_page_tokens, found = options_.search_pages * page;
  const auto with_memory = [&](int64_t remembered) {
    if (found == 0 || remembered <= found) return remembered;
    return found + (remembered + page - 1) / page;  // a page's bound costs what a pair does
  };
  return num_heads * pairs_of_windows(options_.lengths, seq_len, with_memory);
}

double FocusedMemoryAttention::kept_bytes(int64_t layer, int64_t seq_len,
                                          const KeyValueForm& form) const {
  ReadingWindows windows(options_.lengths);
  windows.read(seq_len, seq_len);
  const int64_t remembered = windows.open_begin();
  const double open = form.bytes(seq_len - remembered);
  if (!options_.is_memory_layer(layer)) return open;
  KeyValueForm memory = form, bounds = form;
  memory.bits =
      8 * remembered_bytes(options_.mem_dtype, form.head_dim) / static_cast<double>(form.head_dim);
  bounds.bits = 32;  // the least and the largest of a page, in place of a key and a value
  const int64_t page = options_.search_page_tokens;
  const int64_t pages = options_.search_pages > 0 ? (remembered + page - 1) / page : 0;
  return 2 * open + memory.bytes(remembered) + bounds.bytes(pages);  // open: with keys of two kinds
}

std::string FocusedMemoryAttention::misfit(int64_t num_layers, int64_t) const {
  return misfit_of_layers("mem_layers", options_.mem_layers, num_layers);
}

at::Tensor FocusedMemoryAttention::attend(const Heads& heads,
                                          const AttentionContext& context) const {
  return context.passage_rows > 0 ? attend_cross_batch(heads, context)
                                  : attend_windows(heads, context);
}

at::Tensor FocusedMemoryAttention::attend_cross_batch(const Heads& heads,
                                                      const AttentionContext& context) const {
  const bool is_memory = options_.is_memory_layer(context.layer);
  const bool turns = !is_memory || options_.mem_positionals;
  const at::Tensor q = turns ? context.rotary.rotate(heads.q) : heads.q;
  const at::Tensor k = turns ? context.rotary.rotate(heads.k) : heads.k;
  const at::Tensor starts = key_starts(context, q.size(0), q.size(2));
  const VisibleKeys local{of_each_head(starts, q.size(1))};
  if (!is_memory) return interval_attention(q, k, heads.v, local, context.kept);
  const at::Tensor first_k = turns ? context.rotary.rotate_as_if_first(heads.k) : heads.k;
  return cross_batch_attention(q, k, heads.v, first_k, local, options_.schedule, context.kept);
}

at::Tensor FocusedMemoryAttention::attend_windows(const Heads& heads,
                                                  const AttentionContext& context) const {
  const int64_t rows = heads.q.size(0), num_heads = heads.q.size(1), tokens = heads.q.size(2);
  const int64_t first = context.first_position;
  const bool is_memory = options_.is_memory_layer(context.layer);
  const bool turns = !is_memory || options_.mem_positionals;
  auto* state = static_cast<FocusedMemoryState*>(context.state);
  const int64_t sequence_length = std::max(context.sequence_length, first + tokens);
  const std::vector<int64_t> begins =
      state ? state->begin_pass(first, tokens, sequence_length)
            : ReadingWindows(options_.lengths).read(tokens, sequence_length);
  const int64_t first_key = state ? state->first_key(first) : 0;

  const at::Tensor window_begins = at::tensor(begins, at::kLong);  // [T]
  const at::Tensor places = at::arange(first, first + tokens, at::kLong) - window_begins;
  const Rotary rotary =
      context.rotary.at(places.unsqueeze(0).to(heads.q.device(), at::kLong, /*non_blocking=*/true));
  const at::Tensor q = turns ? rotary.rotate(heads.q) : heads.q;
  KeysAndValues open{turns ? rotary.rotate(heads.k) : heads.k, heads.v};
  if (state) open = state->read(first, open.k, open.v);
  const at::Tensor begin_of_window = window_begins.to(at::kInt) - first_key;
  const at::Tensor starts =
      at::maximum(key_starts(context, rows, tokens) - first_key, begin_of_window);
  const VisibleKeys own_window{of_each_head(starts, num_heads)};
  if (!is_memory) return interval_attention(q, open.k, open.v, own_window, context.kept);

  std::vector<KeySource> sources{{open.k, open.v}};
  std::vector<KeyPart> parts{{.num_keys = open.k.size(2), .visible = own_window}};
  KeysAndValues as_first{turns ? rotary.rotate_as_if_first(heads.k) : heads.k, heads.v};
  if (state) as_first = state->read_first(first, as_first.k, as_first.v);
  if (begins.back() > first_key) {
    // Windows that closed since: of the pass, and the one that was open before it.
    if (!at::GradMode::is_enabled()) {
      as_first = {as_remembered(as_first.k, options_.mem_dtype),
                  as_remembered(as_first.v, options_.mem_dtype)};
    }
    sources.push_back({as_first.k, as_first.v});
    parts.push_back(closed_windows(context, begin_of_window, first_key, heads.q));
    parts.back().num_keys = as_first.k.size(2);
  }
  if (!state || state->memory(first).empty()) {
    return joint_attention(q, sources, parts, context.kept);
  }

  AttentionResult all;
  for (const KeyPart& part : parts) {
    const KeySource& source = sources[part.source];
    add_part(all, partial_attention(q, source.k, source.v, part.visible));
  }
  return merge(all, attend_memory(q, *state, first)).out.to(q.scalar_type());
}

AttentionResult FocusedMemoryAttention::attend_memory(const at::Tensor& q,
                                                      const FocusedMemoryState& state,
                                                      int64_t first_position) const {
  const MemoryBlocks& memory = state.memory(first_position);
  const PageIndex& index = state.index(first_position);
  if (options_.search_pages > 0 && options_.search_pages < std::ssize(index.pages())) {
    return attend_found_pages(q, memory, index, options_.search_pages);
  }
  AttentionResult all;
  for (const auto& block : memory) {
    const KeysAndValues keys = block->recall(q.options());
    add_part(all, partial_attention(q, keys.k, keys.v, all_keys(q, block->tokens())));
  }
  return all;
}

}  // namespace longspan
