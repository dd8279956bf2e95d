#include "trainer/plan_memory.h"

#include <algorithm>

#include "src/attention/kernels/backward_plan.h"
#include "src/core/processor.h"
#include "src/nn/float32_for_bf16.h"

namespace longspan {

namespace {

// Measured: the binary with LibTorch, its threads, the token store and one batch.
constexpr int64_t kProgramBytes = int64_t{190} << 20;
// Those of flash_forward.cpp and flash_backward.cpp, and chunked_cross_entropy.cpp's block.
constexpr int64_t kBackwardWorkspaceBytes = int64_t{512} << 20;
constexpr int64_t kVocabularyBlock = 4096;

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

int64_t rank_columns(const RunShape& shape) {
  int64_t columns = 0;
  for (const auto& projection : shape.projections) columns += projection.rank;
  return columns;
}

int64_t product_scratch(const RunShape& shape) {
  if (shape.dtype != at::kBFloat16) return 0;
  int64_t bytes = 0;
  for (const auto& p : shape.projections) {
    bytes = std::max(bytes, bf16_product_scratch_bytes(p.in_features, p.out_features));
  }
  return bytes;
}

int64_t projection_bytes(const RunShape& shape) {
  int64_t bytes = 0;
  for (const auto& p : shape.projections) {
    bytes += quantized_bytes(p.out_features, p.in_features, shape.dtype, shape.quantization);
  }
  return bytes;
}

int64_t projection_elements(const RunShape& shape) {
  int64_t elements = 0;
  for (const auto& p : shape.projections) elements += p.out_features * p.in_features;
  return elements;
}

int64_t largest_projection(const RunShape& shape) {
  int64_t largest = 0;
  for (const auto& p : shape.projections) {
    largest = std::max(largest, p.out_features * p.in_features);
  }
  return largest;
}

int64_t weight_bytes(const RunShape& shape, FrozenWeights weights) {
  const int64_t layers = shape.config.num_hidden_layers, element = shape.element_bytes();
  const int64_t rest = (shape.parameters.base - layers * projection_elements(shape)) * element;
  // Read ahead: the layer in use and the next.
  const bool mapped =
      weights == FrozenWeights::kMapped && shape.quantization == Quantization::kNone;
  const int64_t in_memory = mapped ? std::min<int64_t>(layers, 2) : layers;
  const bool scratch = shape.quantization != Quantization::kNone;
  return rest + in_memory * projection_bytes(shape) +
         (scratch ? largest_projection(shape) * element : 0);
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

Kept kept_by_layer(const RunShape& shape, const Tensors& t, Recompute recompute) {
  if (recompute == Recompute::kLayer) return {t.hidden(), 0};
  if (recompute == Recompute::kSelective) {
    return {2 * t.hidden() + t.queries(), t.of_each_query()};
  }
  // Autograd: both residuals, the first norm where LoRA needs it, q k v rotated, attention's
  // output, its intervals and log-sum-exp, gate and up, and where LoRA needs them their product.
  int64_t bytes = 2 * t.hidden() + 2 * t.queries() + 2 * t.keys() + 2 * t.intermediate() +
                  2 * t.of_each_query();
  const bool adapts_in = adapts(shape, "q_proj", "v_proj") || adapts(shape, "k_proj", "qkv_proj");
  if (adapts_in && !t.chunked()) bytes += t.hidden();
  if (adapts(shape, "gate_proj", "up_proj")) bytes += t.hidden();
  if (adapts(shape, "down_proj", "")) bytes += t.intermediate();
  return {0, bytes};
}

/// Packed keys and values and the shares of dQ of the heads in one wave.
int64_t backward_workspace(const RunShape& shape, const Stage& stage) {
  const ModelConfig& c = shape.config;
  const int64_t groups = c.num_attention_heads / c.num_key_value_heads;
  const int64_t packed = stage.seq_len * c.head_dim * shape.element_bytes();
  const int64_t grad_q = groups * stage.seq_len * c.head_dim * 4;
  const int64_t head = 3 * packed + grad_q;
  const int64_t heads = stage.batch_size * c.num_key_value_heads;
  const int64_t most = std::max<int64_t>(1, kBackwardWorkspaceBytes / head);
  const int64_t waves = (heads + most - 1) / most, in_wave = (heads + waves - 1) / waves;
  // The further parts of a head see fewer queries.
  const int64_t parts = flash::parts_per_head(in_wave, shape.threads);
  return in_wave * (head + grad_q * (parts - 1) / 2);
}

int64_t attention_backward(const RunShape& shape, const Stage& stage, const Tensors& t) {
  // Its gradients coming in; q k v and their gradients, that of the output; intervals and the dot
  // products of rows; the norm's output and what LoRA makes of it.
  const Tensors part = t.part();
  return t.hidden() + 3 * t.queries() + 4 * t.keys() + 2 * t.of_each_query() + part.hidden() +
         part.features(rank_columns(shape)) + backward_workspace(shape, stage);
}

int64_t mlp_backward(const RunShape& shape, const Tensors& t) {
  const Tensors part = t.part();
  // gate, up, their product, and the gradients of the three.
  int64_t bytes = t.hidden() + 6 * part.intermediate();
  if (adapts(shape, "gate_proj", "up_proj")) bytes += part.hidden();
  if (t.chunked()) bytes += t.hidden() + 2 * part.hidden();
  return bytes;
}

int64_t loss_working(const RunShape& shape, const Tensors& t) {
  // The last residual, normed, and its gradient; one chunk of logits, without a kernel of ours a
  // second one in float32.
  const int64_t logits = std::min(shape.loss_chunk_tokens, t.tokens) * t.c.vocab_size;
  const bool in_place = processor() != Processor::kNone;
  int64_t bytes = 3 * t.hidden() + logits * (t.element + (in_place ? 0 : 4));
  if (shape.trains_head) {
    bytes +=
        t.head() * 4 + std::min(kVocabularyBlock, t.c.vocab_size) * t.c.hidden_size * t.element;
  }
  return bytes;
}

}  // namespace

MemoryPlan plan_memory(const RunShape& shape, const Stage& stage, const MemoryOptions& memory) {
  const Tensors t{shape.config, shape.element_bytes(), stage.batch_size * stage.seq_len,
                  *memory.chunk_tokens};
  const int64_t layers = shape.config.num_hidden_layers;
  const Recompute recompute = *memory.recompute;
  MemoryPlan plan;
  plan.program = kProgramBytes;
  plan.weights = weight_bytes(shape, *memory.weights);
  plan.trained = trained_bytes(shape, stage, memory);

  const int64_t recomputed = recomputed_layers(memory, layers);
  const Kept kept = kept_by_layer(shape, t, recompute);
  const Kept whole = kept_by_layer(shape, t, Recompute::kNone);
  int64_t stored = recomputed * kept.stored, under_way = 0;
  if (memory.offload == Offload::kDisk) {
    plan.disk = std::max<int64_t>(0, stored - *memory.offload_ram);
    stored -= plan.disk;
    // Two being written or one read ahead, and those taken by the block at work.
    if (plan.disk > 0) under_way = 3 * std::max(t.hidden(), t.queries());
  }
  plan.stored = stored;
  plan.kept = stored + recomputed * kept.beside + (layers - recomputed) * whole.beside;

  const int64_t head_gradient = shape.trains_head ? t.head() * t.element : 0;
  // The rotation's tables, ids and positions; what kLayer makes again of the layer at work.
  int64_t always = t.features(shape.config.head_dim) + t.tokens * 32 + under_way + head_gradient +
                   product_scratch(shape);
  if (recompute == Recompute::kLayer) always += t.hidden() + t.queries() + t.of_each_query();
  plan.attention = always + attention_backward(shape, stage, t);
  plan.mlp = always + mlp_backward(shape, t);
  plan.loss = t.features(shape.config.head_dim) + loss_working(shape, t);
  plan.update = shape.parameters.trainable() * t.element +
                (shape.trains_embedding ? t.head() * t.element : 0);
  plan.working =
      std::max({plan.attention, plan.mlp, plan.loss, plan.update - plan.kept, int64_t{0}});
  return plan;
}

}  // namespace longspan
