#include "src/attention/shifted_sparse.h"

#include <ATen/ops/empty.h>
#include <fmt/format.h>

#include <algorithm>

#include "src/attention/full.h"
#include "src/attention/kernels/interval_attention.h"
#include "src/attention/key_starts.h"
#include "src/attention/layer_list.h"
#include "src/core/text.h"

namespace longspan {

namespace {

constexpr const char* kLayersKey = "layers";
constexpr const char* kFullHeadsKey = "full_heads";

/// The first key that each of seq_len tokens behind `past` others sees: of its own group, of which
/// the first has `first` tokens, and none before those of `visible`.
void write_group_starts(const int32_t* visible, int64_t past, int64_t seq_len, int64_t group,
                        int64_t first, int32_t* starts) {
  const int64_t last = past + seq_len;
  for (int64_t begin = 0, end = first; begin < last; begin = end, end += group) {
    for (int64_t token = std::max(begin, past); token < std::min(end, last); ++token) {
      starts[token - past] = std::max(static_cast<int32_t>(begin), visible[token - past]);
    }
  }
}

/// How many query heads attend in full, in groups and in shifted ones. They stand in this order; of
/// an odd number in groups one more is shifted.
struct HeadCounts {
  int64_t full, unshifted, shifted;

  HeadCounts(int64_t num_heads, int64_t in_groups)
      : full(num_heads - in_groups), unshifted(in_groups / 2), shifted(in_groups - unshifted) {}
};

/// [B, H, T] from the starts of documents and windows [B, T], of tokens behind `past` others.
at::Tensor starts_of_heads(const at::Tensor& visible, int64_t past, const HeadCounts& heads,
                           int64_t group) {
  const int64_t rows = visible.size(0), seq_len = visible.size(1);
  const int64_t num_heads = heads.full + heads.unshifted + heads.shifted;
  const at::Tensor contiguous = visible.contiguous();
  at::Tensor starts = at::empty({rows, num_heads, seq_len}, visible.options());
  for (int64_t row = 0; row < rows; ++row) {
    const int32_t* from = contiguous.const_data_ptr<int32_t>() + row * seq_len;
    for (int64_t head = 0; head < num_heads; ++head) {
      const int64_t first = head < heads.full                     ? past + seq_len
                            : head < heads.full + heads.unshifted ? group
                                                                  : group / 2;
      write_group_starts(from, past, seq_len, group, first,
                         starts.mutable_data_ptr<int32_t>() + (row * num_heads + head) * seq_len);
    }
  }
  return starts;
}

int64_t pairs_within_groups(int64_t seq_len, int64_t group, int64_t first) {
  int64_t pairs = 0;
  for (int64_t begin = 0, size = first; begin < seq_len; begin += size, size = group) {
    int64_t tokens = std::min(size, seq_len - begin);
    pairs += tokens * (tokens + 1) / 2;
  }
  return pairs;
}

}  // namespace

void ShiftedSparseAttention::fields(FieldsIo& io) {
  const bool both = io.given("group_size") && io.given("group_ratio");
  io.whole("group_size", group_size_, {0, int64_t{1} << 30},
           "tokens of a group, from 2; instead of `group_ratio`",
           {.otherwise = "by `group_ratio`", .written = group_size_ > 0});
  if (group_size_ == 1) io.error("group_size", "1 leaves no half to shift by; expected 2 or more");
  io.number("group_ratio", group_ratio_, {1e-6, 1.0}, "a group as a part of the sequence",
            {.written = group_size_ == 0});
  if (both) io.error("group_ratio", "group_size is given too; leave one of them out");
  std::vector<int64_t> layers = layers_.value_or(std::vector<int64_t>());
  layers_field(io, kLayersKey, layers,
               "the layers that attend in groups, from 0; the others attend in full",
               {.otherwise = "all", .written = layers_.has_value()});
  if (io.given(kLayersKey)) layers_ = std::move(layers);
  io.whole(kFullHeadsKey, full_heads_, {0, 1024},
           "query heads that attend in full, the first ones; of the others half are shifted",
           {.otherwise = "none", .written = full_heads_ > 0});
}

std::string ShiftedSparseAttention::misfit(int64_t num_layers, int64_t num_heads) const {
  std::string of_layers = layers_ ? misfit_of_layers(kLayersKey, *layers_, num_layers) : "";
  if (!of_layers.empty() || full_heads_ <= num_heads) return of_layers;
  return fmt::format("{} is {}, and the model has {} query heads", kFullHeadsKey, full_heads_,
                     num_heads);
}

std::string ShiftedSparseAttention::describe(int64_t num_layers, int64_t num_heads) const {
  std::vector<std::string> parts;
  const auto add = [&](int64_t in_groups, int64_t all, const char* what) {
    if (in_groups < all) parts.push_back(fmt::format("{} of {} {}", in_groups, all, what));
  };
  add(heads_in_groups(num_heads), num_heads, "heads");
  add(layers_ ? std::ssize(*layers_) : num_layers, num_layers, "layers");
  return parts.empty() ? std::string(name()) : fmt::format("{} in {}", name(), join(parts, " of "));
}

int64_t ShiftedSparseAttention::heads_in_groups(int64_t num_heads) const {
  // A plan may measure fewer heads than a model has.
  return std::max<int64_t>(0, num_heads - full_heads_);
}

bool ShiftedSparseAttention::has_groups(int64_t layer) const {
  return !layers_ || has_layer(*layers_, layer);
}

int64_t ShiftedSparseAttention::group_size(int64_t seq_len) const {
  if (group_size_ > 0) return group_size_;
  return std::max<int64_t>(2, static_cast<int64_t>(group_ratio_ * static_cast<double>(seq_len)));
}

at::Tensor ShiftedSparseAttention::attend(const Heads& heads,
                                          const AttentionContext& context) const {
  if (!has_groups(context.layer)) return FullAttention().attend(heads, context);
  const int64_t rows = heads.q.size(0), num_heads = heads.q.size(1), tokens = heads.q.size(2);
  const HeadCounts counts(num_heads, heads_in_groups(num_heads));
  int64_t past = context.first_position;
  int64_t group = group_size(std::max(past + tokens, context.sequence_length));
  at::Tensor starts = starts_of_heads(key_starts(context, rows, tokens), past, counts, group);
  const auto [k, v] = context.with_past(context.rotary.rotate(heads.k), heads.v);
  return interval_attention(context.rotary.rotate(heads.q), k, v, {starts}, context.kept);
}

int64_t ShiftedSparseAttention::scored_pairs(int64_t seq_len, int64_t num_heads) const {
  const int64_t group = group_size(seq_len);
  const HeadCounts heads(num_heads, heads_in_groups(num_heads));
  return FullAttention().scored_pairs(seq_len, heads.full) +
         heads.unshifted * pairs_within_groups(seq_len, group, group) +
         heads.shifted * pairs_within_groups(seq_len, group, std::max<int64_t>(1, group / 2));
}

int64_t ShiftedSparseAttention::read_pairs(int64_t layer, int64_t seq_len,
                                           int64_t num_heads) const {
  return has_groups(layer) ? scored_pairs(seq_len, num_heads)
                           : FullAttention().scored_pairs(seq_len, num_heads);
}

}  // namespace longspan
