#include "trainer/plan/plan_memory.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <initializer_list>

#include "src/attention/kernels/cuda_flash.h"
#include "src/attention/kernels/flash_attention.h"
#include "src/core/processor.h"
#include "src/nn/chunked_cross_entropy.h"
#include "src/nn/float32_for_bf16.h"

namespace longspan {

namespace {

// Measured, in the memory of the CPU: the binary with LibTorch, its threads, the token store and
// one batch.
constexpr int64_t kProgramBytes = int64_t{190} << 20;
constexpr int64_t kCudaProgramBytes = int64_t{62} << 20;  // measured on an H100: cuBLAS's workspace

/// Sizes of the tensors of one pass, in bytes.
struct Tensors {
  const ModelConfig& c;
  int64_t element, tokens;
  int64_t chunk = 0;  // MemoryOptions::chunk_tokens

  bool chunked() const { return chunk > 0 && chunk < tokens; }
  Tensors part() const { return {c, element, chunked() ? chunk : tokens}; }
  int64_t features(int64_t count) const { return tokens * count * element; }
  int64_t hidden() const { return features(c.hidden_size); }
  int64_t queries() const { return features(c.num_attention_heads * c.head_dim); }
  int64_t keys() const { return features(c.num_key_value_heads * c.head_dim); }
  int64_t intermediate() const { return features(c.intermediate_size); }
  int64_t of_each_query() const { return tokens * c.num_attention_heads * 4; }  // int32, float32
  int64_t head() const { return c.vocab_size * c.hidden_size; }                 // elements
};

bool adapts(const RunShape& shape, std::string_view first, std::string_view second) {
  return std::any_of(shape.projections.begin(), shape.projections.end(), [&](const auto& p) {
    return p.rank > 0 && (p.name == first || p.name == second);
  });
}

/// What autograd holds of the outputs of projections with DoRA before they are scaled, and what
/// their recomputation makes.
int64_t before_scaling(const RunShape& shape, const Tensors& t,
                       std::initializer_list<std::string_view> names) {
  if (!shape.use_dora) return 0;
  int64_t bytes = 0;
  for (const auto& p : shape.projections) {
    const bool named = std::find(names.begin(), names.end(), p.name) != names.end();
    if (p.rank > 0 && named) bytes += t.features(p.out_features);
  }
  return bytes;
}

int64_t before_scaling_in_attention(const RunShape& shape, const Tensors& t) {
  return before_scaling(shape, t, {"q_proj", "k_proj", "v_proj", "qkv_proj", "o_proj"});
}

int64_t before_scaling_in_mlp(const RunShape& shape, const Tensors& t) {
  return before_scaling(shape, t, {"gate_proj", "up_proj", "gate_up_proj", "down_proj"});
}

bool adapts_attention_input(const RunShape& shape) {
  return adapts(shape, "q_proj", "v_proj") || adapts(shape, "k_proj", "qkv_proj");
}

bool adapts_mlp_input(const RunShape& shape) {
  return adapts(shape, "gate_proj", "up_proj") || adapts(shape, "gate_up_proj", "");
}

/// What autograd holds of q, k and v beside the rotated ones: the input of their norms, or the
/// fused projection's output, of which v is a part.
int64_t before_rotation(const RunShape& shape, const Tensors& t) {
  const DecoderOptions& decoder = shape.config.decoder;
  return decoder.qk_norm || decoder.fused_projections ? t.queries() + t.keys() : 0;
}

int64_t rank_columns(const RunShape& shape) {
  int64_t columns = 0;
  for (const auto& projection : shape.projections) columns += projection.rank;
  return columns;
}

int64_t product_scratch(const RunShape& shape) {
  if (shape.dtype != at::kBFloat16 || !shape.device.is_cpu()) return 0;
  int64_t bytes = 0;
  for (const auto& p : shape.projections) {
    bytes = std::max(bytes, bf16_product_scratch_bytes(p.in_features, p.out_features));
  }
  return bytes;
}

/// Of the frozen projections of one layer.
int64_t projection_bytes(const RunShape& shape) {
  int64_t bytes = 0;
  for (const auto& p : shape.projections) {
    if (p.is_frozen)
      bytes += quantized_bytes(p.out_features, p.in_features, shape.dtype, shape.quantization);
  }
  return bytes;
}

int64_t projection_elements(const RunShape& shape) {
  int64_t elements = 0;
  for (const auto& p : shape.projections) {
    if (p.is_frozen) elements += p.out_features * p.in_features;
  }
  return elements;
}

int64_t largest_projection(const RunShape& shape) {
  int64_t largest = 0;
  for (const auto& p : shape.projections) {
    largest = std::max(largest, p.out_features * p.in_features);
  }
  return largest;
}

int64_t weight_bytes(const RunShape& shape, const MemoryOptions& memory) {
  const int64_t layers = shape.config.num_hidden_layers, element = shape.element_bytes();
  const int64_t frozen = shape.parameters.base - shape.parameters.saved();
  const int64_t rest = (frozen - layers * projection_elements(shape)) * element;
  const bool mapped =
      memory.weights == FrozenWeights::kMapped && shape.quantization == Quantization::kNone;
  // Of recomputed layers the one in use; the others hold their weights until backward is done.
  const int64_t used_at_once = std::max<int64_t>(1, layers - recomputed_layers(memory, layers));
  const int64_t in_memory = mapped ? std::min(layers, used_at_once) : layers;
  const bool scratch = shape.quantization != Quantization::kNone;
  const int64_t scratches = shape.device.is_cpu() ? 1 : 2;  // backward has a thread of its own
  return rest + in_memory * projection_bytes(shape) +
         (scratch ? scratches * largest_projection(shape) * element : 0);
}

int64_t trained_bytes(const RunShape& shape, const Stage& stage, const MemoryOptions& memory) {
  const int64_t element = shape.element_bytes();
  double moments = 8.0;
  if (memory.optimizer_state_bits == 8) moments = 2.0 + 2 * 4.0 / 256;  // a float32 scale a block
  const double master = element == 4 ? 0 : 4;
  const double sums = stage.gradient_accumulation_steps > 1 ? 4 : 0;
  return static_cast<int64_t>(static_cast<double>(shape.parameters.trainable()) *
                              (static_cast<double>(element) + master + moments + sums));
}

/// Of one layer. In the store: what an ActivationStore takes; beside it: what stays in RAM.
struct Kept {
  int64_t stored = 0, beside = 0;
};

/// The graph that leads to attention, without its result: q k v rotated, the intervals, and the
/// first norm where LoRA needs it.
int64_t recorded_for_attention(const RunShape& shape, const Tensors& t) {
  int64_t bytes = t.queries() + 2 * t.keys() + t.of_each_query() + before_rotation(shape, t) +
                  before_scaling_in_attention(shape, t);
  if (adapts_attention_input(shape) && !t.chunked()) bytes += t.hidden();
  return bytes;
}

Kept kept_by_layer(const RunShape& shape, const Tensors& t, Recompute recompute) {
  if (recompute == Recompute::kLayer) return {t.hidden(), 0};
  if (recompute == Recompute::kSelectivePlusPlus) {
    return {t.hidden() + t.queries(), t.of_each_query()};
  }
  if (recompute == Recompute::kSelective) {
    return {2 * t.hidden() + t.queries(), t.of_each_query()};
  }
  // Autograd: both residuals, what leads to attention, its output and log-sum-exp, gate and up, and
  // where LoRA needs them their product.
  int64_t bytes = 2 * t.hidden() + recorded_for_attention(shape, t) + t.queries() +
                  t.of_each_query() + 2 * t.intermediate();
  if (adapts_mlp_input(shape)) bytes += t.hidden();
  if (adapts(shape, "down_proj", "")) bytes += t.intermediate();
  if (shape.config.decoder.gelu_tanh) bytes += t.intermediate();
  if (shape.config.decoder.sandwich_norms) bytes += 2 * t.hidden();
  bytes += before_scaling_in_mlp(shape, t);
  return {0, bytes};
}

int64_t backward_workspace(const RunShape& shape, const Stage& stage, const Tensors& t) {
  const ModelConfig& c = shape.config;
  if (!shape.device.is_cpu()) {
    // LibTorch's, of the heads at work: dQ in float32, dK and dV of each query head where heads
    // share them, and where others come after them the gradients that they become.
    const int64_t heads = c.num_attention_heads, key_heads = c.num_key_value_heads;
    const int64_t parts = heads / cuda_backward_heads(heads, key_heads, stage.seq_len);
    const int64_t queries = t.queries() / parts;
    const int64_t shared = heads == key_heads ? 0 : 2 * queries;
    const int64_t copied = parts == 1 ? 0 : queries + 2 * t.keys() / parts;
    return queries / t.element * 4 + shared + copied;
  }
  const auto heads = [&](int64_t count) {
    return at::empty({1, 1, 1, c.head_dim}, shape.dtype)
        .expand({stage.batch_size, count, stage.seq_len, c.head_dim});
  };
  return flash_backward_workspace_bytes(heads(c.num_attention_heads), heads(c.num_key_value_heads),
                                        shape.threads);
}

int64_t attention_backward(const RunShape& shape, const Stage& stage, const Tensors& t) {
  // Its gradients coming in; q k v and their gradients, that of the output; intervals and the dot
  // products of rows; the norm's output and what LoRA makes of it.
  const Tensors part = t.part();
  return t.hidden() + 3 * t.queries() + 4 * t.keys() + 2 * t.of_each_query() + part.hidden() +
         part.features(rank_columns(shape)) + before_rotation(shape, t) +
         before_scaling_in_attention(shape, t) + backward_workspace(shape, stage, t);
}

/// What a layer takes besides whose memory is the other rows of the batch.
struct OtherRows {
  int64_t kept = 0;     // by autograd: keys and values of all rows in one
  int64_t working = 0;  // these and their gradients in float32, and that of the queries
};

OtherRows other_rows(const Tensors& t) {
  const int64_t in_one_row = 2 * t.keys();
  return {in_one_row, 2 * in_one_row + (in_one_row + t.queries()) / t.element * 4};
}

/// Layers from `first` on that attend to other rows.
int64_t layers_with_other_rows(const RunShape& shape, const Stage& stage, int64_t first) {
  int64_t layers = 0;
  for (int64_t layer = first; layer < shape.config.num_hidden_layers; ++layer) {
    layers += stage.attention->attends_to_other_rows(layer) ? 1 : 0;
  }
  return layers;
}

int64_t mlp_backward(const RunShape& shape, Tensors t) {
  const bool is_whole =
      std::any_of(shape.projections.begin(), shape.projections.end(), [](auto& p) {
        const bool of_mlp =
            p.name.ends_with("up_proj") || p.name == "gate_proj" || p.name == "down_proj";
        return of_mlp && !p.is_frozen;
      });
  if (is_whole) t.chunk = 0;
  const Tensors part = t.part();
  // gate, up, their product, and the gradients of the three.
  int64_t bytes = t.hidden() + 6 * part.intermediate();
  if (adapts_mlp_input(shape)) bytes += part.hidden();
  if (t.chunked()) bytes += t.hidden() + 2 * part.hidden();
  return bytes + before_scaling_in_mlp(shape, part);
}

int64_t logits_at_once(const RunShape& shape, const Tensors& t) {
  const int64_t rows = loss_chunk_rows(shape.device, shape.loss_chunk_tokens, t.c.vocab_size);
  return std::min(rows, t.tokens) * t.c.vocab_size;
}

int64_t loss_working(const RunShape& shape, const Tensors& t) {
  // The last residual, normed, and its gradient; one chunk of logits, without a kernel of ours two
  // more in float32.
  const int64_t chunk = logits_at_once(shape, t);
  const bool in_place = shape.device.is_cpu() && processor() != Processor::kNone;
  const int64_t residual = 3 * t.hidden(), logits = chunk * (t.element + (in_place ? 0 : 8));
  if (!shape.trains_head) return residual + logits;
  // The head's gradient in float32, and a block of a chunk's or, at the end, all of it in the
  // dtype.
  const int64_t block = std::min(kVocabularyBlock, t.c.vocab_size) * t.c.hidden_size;
  return residual + t.head() * 4 + std::max(logits + block * t.element, t.head() * t.element);
}

/// A forward pass without gradients over one row: what the larger of attention and MLP, or the
/// loss, holds beside the residual.
int64_t validation_working(const RunShape& shape, const Tensors& t) {
  const Tensors part = t.part();
  const int64_t attention = t.hidden() + 3 * t.queries() + 3 * t.keys() + part.hidden() +
                            t.of_each_query() + before_rotation(shape, t);
  const int64_t mlp = t.hidden() + part.hidden() + 3 * part.intermediate();
  const int64_t chunk = logits_at_once(shape, t);
  const bool in_place = shape.device.is_cpu() && processor() != Processor::kNone;
  const int64_t loss = t.hidden() + chunk * (t.element + (in_place ? 0 : 8));
  return t.features(shape.config.head_dim) + t.tokens * 32 + t.hidden() + product_scratch(shape) +
         std::max({attention, mlp, loss});
}

}  // namespace

MemoryPlan plan_memory(const RunShape& shape, const Stage& stage, const MemoryOptions& memory) {
  const Tensors t{shape.config, shape.element_bytes(), stage.batch_size * stage.seq_len,
                  *memory.chunk_tokens};
  const int64_t layers = shape.config.num_hidden_layers, first = first_layers(memory, layers);
  const auto any_does = [&](Recompute what) {
    return (first > 0 && memory.recompute == what) ||
           (first < layers && recompute_of_rest(memory) == what);
  };
  MemoryPlan plan;
  plan.program = shape.device.is_cpu() ? kProgramBytes : kCudaProgramBytes;
  plan.weights = weight_bytes(shape, memory);
  plan.trained = trained_bytes(shape, stage, memory);

  const Kept kept = kept_by_layer(shape, t, *memory.recompute);
  const Kept rest = kept_by_layer(shape, t, recompute_of_rest(memory));
  int64_t stored = first * kept.stored + (layers - first) * rest.stored, under_way = 0;
  int64_t beyond = 0;  // what finds no room in RAM and stays on the GPU
  const bool elsewhere = !shape.device.is_cpu() && memory.offload != Offload::kNone;  // in RAM
  if (memory.offload == Offload::kDisk) {
    plan.disk = std::max<int64_t>(0, stored - *memory.offload_ram);
    stored -= plan.disk;
    // Those that the block at work has taken, and one read ahead where a layer comes after it.
    const bool is_one = recomputed_layers(memory, layers) == 1;
    if (plan.disk > 0) under_way = (is_one ? 2 : 3) * std::max(t.hidden(), t.queries());
  } else if (elsewhere && stored > *memory.offload_ram) {
    // The last tensor that has no room there is not cut.
    beyond = stored - *memory.offload_ram + std::max(t.hidden(), t.queries());
    stored = *memory.offload_ram;
  }
  plan.stored = stored;
  // Those of the layer at work, and as many as the store fetches ahead.
  if (elsewhere) under_way = 2 * fetched_ahead(memory) * std::max(t.hidden(), t.queries());
  plan.kept =
      (elsewhere ? beyond : stored) + first * kept.beside + (layers - first) * rest.beside +
      layers_with_other_rows(shape, stage, recomputed_layers(memory, layers)) * other_rows(t).kept;

  const int64_t head_gradient = shape.trains_head ? t.head() * t.element : 0;
  // The rotation's tables, ids and positions; attention's result that kLayer makes again.
  int64_t always = t.features(shape.config.head_dim) + t.tokens * 32 + under_way + head_gradient +
                   product_scratch(shape);
  const bool makes_attention = any_does(Recompute::kLayer);
  if (makes_attention) always += t.queries() + t.of_each_query();
  plan.attention = always + attention_backward(shape, stage, t);
  const bool has_other_rows = layers_with_other_rows(shape, stage, 0) > 0;
  if (has_other_rows) plan.attention += other_rows(t).working;
  plan.mlp = always + mlp_backward(shape, t);
  // Its input is made again, and the graph of attention waits for the MLP's backward.
  if (makes_attention || any_does(Recompute::kSelectivePlusPlus)) {
    plan.mlp +=
        recorded_for_attention(shape, t) + t.hidden() + (has_other_rows ? other_rows(t).kept : 0);
  }
  plan.loss = t.features(shape.config.head_dim) + loss_working(shape, t);
  // A tied embedding's gradient comes in two.
  plan.update = shape.parameters.trainable() * t.element +
                (shape.trains_embedding && t.c.tie_word_embeddings ? t.head() * t.element : 0);
  // LibTorch's AdamW takes gradients in float32: small ones together, that of a vocabulary alone.
  if (!shape.device.is_cpu()) plan.update += shape.parameters.trainable() * 4;
  if (shape.validation_seq_len) {
    const int64_t tokens =
        *shape.validation_seq_len > 0 ? *shape.validation_seq_len : stage.seq_len;
    plan.validation =
        validation_working(shape, {shape.config, t.element, tokens, *memory.chunk_tokens});
  }
  plan.working = std::max({plan.attention, plan.mlp, plan.loss, plan.update - plan.kept,
                           plan.validation - plan.kept, int64_t{0}});
  return plan;
}

}  // namespace longspan
