#include "trainer/plan/layer_memory.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <span>
#include <string_view>

#include "src/attention/kernels/cuda_flash.h"
#include "src/attention/kernels/flash_attention.h"

namespace longspan {

namespace {

using ProjectionNames = std::span<const std::string_view>;
constexpr std::string_view kIntoAttention[] = {"q_proj", "k_proj", "v_proj", "qkv_proj"};
constexpr std::string_view kOutOfAttention[] = {"o_proj"};
constexpr std::string_view kIntoMlp[] = {"gate_proj", "up_proj", "gate_up_proj"};
constexpr std::string_view kOutOfMlp[] = {"down_proj"};

bool is_among(const ProjectionShape& p, ProjectionNames names) {
  return std::find(names.begin(), names.end(), p.name) != names.end();
}

template <class Condition>
bool any_of_these(const RunShape& shape, ProjectionNames names, const Condition& condition) {
  return std::any_of(shape.projections.begin(), shape.projections.end(),
                     [&](const auto& p) { return is_among(p, names) && condition(p); });
}

/// Whether one of them is trained whole.
bool train_weights(const RunShape& shape, ProjectionNames names) {
  return any_of_these(shape, names, [](const auto& p) { return !p.is_frozen; });
}

/// Whether one of them trains more than a low-rank part (Linear::is_frozen).
bool train_more(const RunShape& shape, ProjectionNames names) {
  return any_of_these(
      shape, names, [&](const auto& p) { return !p.is_frozen || (p.rank > 0 && shape.use_dora); });
}

/// Whether DoRA drops elements of their input.
bool drop_elements(const RunShape& shape, ProjectionNames names) {
  return shape.use_dora && shape.has_dropout &&
         any_of_these(shape, names, [](const auto& p) { return p.rank > 0; });
}

/// Whether autograd holds their input. DoRA that drops elements holds what is left of it instead.
bool hold_input(const RunShape& shape, ProjectionNames names) {
  const bool drops = drop_elements(shape, names);
  return any_of_these(shape, names,
                      [&](const auto& p) { return !p.is_frozen || (p.rank > 0 && !drops); });
}

/// What else autograd holds of them: x A^T, with DoRA each output before it is scaled, and where
/// elements are dropped the mask and what is left of the input.
int64_t held(const RunShape& shape, const PassTensors& t, ProjectionNames names) {
  int64_t features = 0;
  for (const auto& p : shape.projections) {
    if (p.rank == 0 || !is_among(p, names)) continue;
    features += p.rank;
    if (shape.use_dora) features += p.out_features + (shape.has_dropout ? 2 * p.in_features : 0);
  }
  return t.features(features);
}

/// What backward has while a block's last projection gives its input, of so many bytes, a gradient.
int64_t backward_of_last(const RunShape& shape, const PassTensors& t, ProjectionNames names,
                         int64_t input) {
  // Of a norm after it. Where DoRA has scaled it, in the place of the output that it held, it is
  // free.
  const bool has_gradient = shape.config.decoder.sandwich_norms && !train_more(shape, names);
  // DoRA that drops elements has that of what is left, that of what was taken, and their sum.
  const int64_t gradients = drop_elements(shape, names) ? 3 : 1;
  return held(shape, t, names) + (has_gradient ? t.hidden() : 0) + gradients * input;
}

/// Whether backward makes the output of a block's last projection again.
bool make_output(const RunShape& shape, ProjectionNames names) {
  return shape.config.decoder.sandwich_norms || train_more(shape, names);
}

/// Whether q, k and v are made of chunks of tokens, of which backward holds nothing.
bool chunks_projections(const RunShape& shape, const PassTensors& t) {
  return t.chunked() && !train_more(shape, kIntoAttention);
}

bool chunks_mlp(const RunShape& shape, const PassTensors& t) {
  return t.chunked() && !train_weights(shape, kIntoMlp) && !train_weights(shape, kOutOfMlp);
}

/// Heads of `tokens` tokens that are shapes alone: of queries, or of keys and values.
at::Tensor shaped_heads(const RunShape& shape, int64_t rows, int64_t count, int64_t tokens) {
  const int64_t head_dim = shape.config.head_dim;
  return at::empty({1, 1, 1, head_dim}, shape.dtype).expand({rows, count, tokens, head_dim});
}

int64_t workspace_of_cpu_backward(const RunShape& shape, int64_t rows, int64_t queries,
                                  int64_t keys) {
  return flash_backward_workspace_bytes(
      shaped_heads(shape, rows, shape.config.num_attention_heads, queries),
      shaped_heads(shape, rows, shape.config.num_key_value_heads, keys), shape.threads);
}

/// How many dQ in float32 FlashAttention-2 adds up in a fixed order: with deterministic kernels so
/// many that each multiprocessor has a block of its own (mha_bwd in LibTorch's flash_api.cpp).
int64_t splits_of_query_gradient(const RunShape& shape, int64_t rows_and_heads) {
  constexpr int64_t kMultiprocessors = 132;  // of an H100 or H200; fewer elsewhere
  if (!shape.deterministic) return 1;
  return (kMultiprocessors + rows_and_heads - 1) / rows_and_heads;
}

int64_t workspace_of_backward(const RunShape& shape, const PassTensors& t) {
  const int64_t heads = shape.config.num_attention_heads;
  const int64_t key_heads = shape.config.num_key_value_heads;
  if (shape.device.is_cpu()) {
    return workspace_of_cpu_backward(shape, t.rows, t.row_tokens, t.row_tokens);
  }
  // LibTorch's, of the heads at work: dQ in float32, dK and dV of each query head where heads
  // share them, and where others come after them the gradients that they become.
  const int64_t parts = heads / cuda_backward_heads(heads, key_heads, t.row_tokens);
  const int64_t queries = t.queries() / parts;
  const int64_t shared = heads == key_heads ? 0 : 2 * queries;
  const int64_t copied = parts == 1 ? 0 : queries + 2 * t.keys() / parts;
  return splits_of_query_gradient(shape, t.rows * heads / parts) * t.in_float32(queries) + shared +
         copied;
}

int64_t workspace_of_forward(const RunShape& shape, const PassTensors& t) {
  if (!shape.device.is_cpu()) return 0;
  const auto heads = [&](int64_t count) {
    return shaped_heads(shape, t.rows, count, t.row_tokens);
  };
  return flash_forward_workspace_bytes(heads(shape.config.num_attention_heads),
                                       heads(shape.config.num_key_value_heads));
}

}  // namespace

LayerMemory::LayerMemory(const RunShape& shape, const PassTensors& tensors)
    : shape_(shape),
      t_(tensors),
      forward_workspace_(workspace_of_forward(shape, tensors)),
      backward_workspace_(workspace_of_backward(shape, tensors)) {}

KeptByLayer LayerMemory::kept(const LayerPass& pass) const {
  const int64_t attended = t_.queries(), log_sum_exp = t_.of_each_query();
  if (pass.recompute == Recompute::kNone) {
    KeptByLayer kept{.beside = kept_by_mlp(), .of_mlp = kept_by_mlp()};
    if (!pass.records_attention) return kept;
    kept.beside += t_.hidden() + graph_of_attention(pass.other_rows) + end_of_attention() +
                   attended + log_sum_exp;
    return kept;
  }
  if (!pass.records_attention) return {.stored = {t_.hidden()}};
  switch (pass.recompute) {
    case Recompute::kSelective:
      return {.stored = {t_.hidden(), attended, t_.hidden()}, .for_mlp = 1, .beside = log_sum_exp};
    case Recompute::kSelectivePlusPlus:
      return {.stored = {t_.hidden(), attended}, .beside = log_sum_exp};
    default:
      return {.stored = {t_.hidden()}};
  }
}

/// The backward of a block is at its peak with the gradients of its last projection, or, when what
/// autograd held of that is free, with those before it.
BackwardOfLayer LayerMemory::backward(const LayerPass& pass) const {
  const int64_t end = end_of_attention();
  // The gradient of the residual, and that of what attention gives.
  int64_t attention =
      t_.hidden() + std::max(backward_of_last(shape_, t_, kOutOfAttention, t_.queries()),
                             t_.queries() + backward_of_attention(pass.other_rows));
  if (pass.recompute == Recompute::kNone) {
    // The ends of both blocks are kept.
    const int64_t product = hold_input(shape_, kOutOfMlp) ? t_.intermediate() : 0;
    const int64_t of_down_proj =
        product + backward_of_last(shape_, t_, kOutOfMlp, t_.intermediate());
    return {attention - end,
            t_.hidden() + std::max(of_down_proj, 3 * t_.intermediate()) - product - end_of_mlp(t_)};
  }
  const int64_t graph = graph_of_attention(pass.other_rows);
  attention += graph + (make_output(shape_, kOutOfAttention) ? t_.hidden() : 0);
  int64_t mlp = recomputed_mlp();
  // The MLP's input is made again, and the graph of attention waits for the MLP's backward.
  const bool waits = pass.recompute != Recompute::kSelective && pass.records_attention;
  if (waits) mlp += graph + t_.hidden();
  // So do o_proj and the norm after it, and what that makes.
  if (waits && shape_.config.decoder.sandwich_norms) mlp += end + t_.hidden();
  if (waits && pass.recompute == Recompute::kLayer) {
    const int64_t result = t_.queries() + t_.of_each_query();
    attention += result;
    mlp += result;
  }
  return {attention, mlp};
}

int64_t LayerMemory::forward(int64_t other_rows) const {
  const PassTensors part = chunks_mlp(shape_, t_) ? t_.part() : t_;
  // gate, up and their product; copies of the two where one projection makes both, or GELU's
  // result.
  const DecoderOptions& decoder = shape_.config.decoder;
  const int64_t beside = decoder.fused_projections ? 2 : decoder.gelu_tanh ? 1 : 0;
  int64_t mlp = part.hidden() + (3 + beside) * part.intermediate();
  if (chunks_mlp(shape_, t_)) mlp += t_.hidden() + part.hidden();
  return t_.hidden() + std::max(forward_of_attention(other_rows), mlp);
}

int64_t LayerMemory::forward_of_attention(int64_t other_rows) const {
  // q and k before and after they are rotated, v; intervals and log-sum-exp.
  const int64_t operands = 2 * t_.queries() + 3 * t_.keys() + 2 * t_.of_each_query();
  if (other_rows == 0) return operands + t_.queries() + forward_workspace_;
  // The result in float32; that of a row's part, and then the two in float32 that join it.
  const int64_t part = t_.queries() / t_.rows;
  return operands + t_.in_float32(t_.queries()) + t_.of_each_query() + part +
         std::max(forward_workspace_, 2 * t_.in_float32(part));
}

/// Beside the gradient of what attention gives.
int64_t LayerMemory::backward_of_attention(int64_t other_rows) const {
  // Gradients of q, k and v; the dot products of rows.
  const int64_t own_row = t_.queries() + 2 * t_.keys() + t_.of_each_query() + backward_workspace_;
  if (other_rows == 0) return own_row;
  // Other rows come when the workspace of all is free: the gradients of the keys and values of all
  // rows, in float32, and those of one row's part. In the end q's sum is rounded.
  const int64_t part = (t_.queries() + t_.of_each_query() + 2 * other_rows * t_.keys()) / t_.rows;
  const int64_t at_work =
      shape_.device.is_cpu()
          ? workspace_of_cpu_backward(shape_, 1, t_.row_tokens, other_rows * t_.row_tokens)
          : 0;
  const int64_t rounded = t_.element < 4 ? t_.queries() : 0;
  const int64_t others =
      2 * t_.keys() + t_.in_float32(2 * t_.keys()) + std::max(part + at_work, rounded);
  return t_.in_float32(t_.queries()) + std::max(own_row, others);
}

/// What leads to attention's result: q, k and v, the intervals, and the first norm's output where
/// a projection's gradient needs it. Other rows see keys that are not rotated, each its interval.
int64_t LayerMemory::graph_of_attention(int64_t other_rows) const {
  const DecoderOptions& decoder = shape_.config.decoder;
  int64_t bytes = t_.queries() + 2 * t_.keys() + t_.of_each_query();
  if (other_rows > 0) bytes += t_.keys() + t_.of_each_query();
  // The input of the norms of q and k, or the fused projection's output, of which v is a part.
  if (decoder.qk_norm || decoder.fused_projections) bytes += t_.queries() + t_.keys();
  if (chunks_projections(shape_, t_)) return bytes;
  if (hold_input(shape_, kIntoAttention)) bytes += t_.hidden();
  return bytes + held(shape_, t_, kIntoAttention);
}

/// What autograd holds of o_proj, and the input of the norm after it.
int64_t LayerMemory::end_of_attention() const {
  return held(shape_, t_, kOutOfAttention) +
         (shape_.config.decoder.sandwich_norms ? t_.hidden() : 0);
}

/// The same of down_proj, without its input.
int64_t LayerMemory::end_of_mlp(const PassTensors& part) const {
  return held(shape_, part, kOutOfMlp) + (shape_.config.decoder.sandwich_norms ? part.hidden() : 0);
}

/// By autograd: the residual, gate and up, and where gradients need them the norm's output and the
/// product.
int64_t LayerMemory::kept_by_mlp() const {
  int64_t bytes = t_.hidden() + 2 * t_.intermediate() + held(shape_, t_, kIntoMlp) + end_of_mlp(t_);
  if (hold_input(shape_, kIntoMlp)) bytes += t_.hidden();
  if (hold_input(shape_, kOutOfMlp)) bytes += t_.intermediate();
  if (shape_.config.decoder.gelu_tanh) bytes += t_.intermediate();
  return bytes;
}

int64_t LayerMemory::recomputed_mlp() const {
  const bool in_chunks = chunks_mlp(shape_, t_);
  const PassTensors part = in_chunks ? t_.part() : t_;
  // gate, up and GELU's result. A body that ends with down_proj's input holds their product too;
  // where a norm comes after down_proj, that alone does.
  const DecoderOptions& decoder = shape_.config.decoder;
  int64_t bytes = t_.hidden() + (decoder.gelu_tanh ? 3 : 2) * part.intermediate() +
                  held(shape_, part, kIntoMlp);
  const bool has_product = !decoder.sandwich_norms || hold_input(shape_, kOutOfMlp);
  const int64_t product = has_product ? part.intermediate() : 0;
  const int64_t of_down_proj = backward_of_last(shape_, part, kOutOfMlp, part.intermediate());
  const int64_t of_three = 3 * part.intermediate();
  bytes += decoder.sandwich_norms ? std::max(product + of_down_proj, of_three)
                                  : product + std::max(of_down_proj, of_three);
  if (hold_input(shape_, kIntoMlp)) bytes += part.hidden();
  if (make_output(shape_, kOutOfMlp)) bytes += part.hidden();
  if (in_chunks) bytes += t_.hidden() + 2 * part.hidden();
  return bytes;
}

}  // namespace longspan
