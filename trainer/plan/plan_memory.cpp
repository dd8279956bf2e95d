#include "trainer/plan/plan_memory.h"

#include <algorithm>

#include "src/core/processor.h"
#include "src/nn/chunked_cross_entropy.h"
#include "src/nn/float32_for_bf16.h"
#include "trainer/plan/layer_memory.h"
#include "trainer/plan/stored_tensors.h"

namespace longspan {

namespace {

// Measured, in the memory of the CPU: the binary with LibTorch, its threads and their scratch, the
// token store and one batch. 165 to 215 MiB, more for wide weights in bfloat16.
constexpr int64_t kProgramBytes = int64_t{190} << 20;
constexpr int64_t kCudaProgramBytes = int64_t{62} << 20;  // measured on an H100: cuBLAS's workspace

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

/// Gradients of earlier passes wait in the dtype of their parameter until the second is added in
/// float32.
int64_t waiting_gradient_bytes(const RunShape& shape, const Stage& stage) {
  if (stage.gradient_accumulation_steps == 1) return 0;
  return stage.gradient_accumulation_steps == 2 ? shape.element_bytes() : 4;
}

int64_t trained_bytes(const RunShape& shape, const Stage& stage, const MemoryOptions& memory) {
  const int64_t element = shape.element_bytes();
  double moments = 8.0;
  if (memory.optimizer_state_bits == 8) moments = 2.0 + 2 * 4.0 / 256;  // a float32 scale a block
  const int64_t master = element == 4 ? 0 : 4;
  const int64_t others = element + master + waiting_gradient_bytes(shape, stage);
  return static_cast<int64_t>(static_cast<double>(shape.parameters.trainable()) *
                              (static_cast<double>(others) + moments));
}

int64_t head_elements(const RunShape& shape) {
  return shape.config.vocab_size * shape.config.hidden_size;
}

int64_t gradient_bytes_of_layer(const RunShape& shape) {
  const bool has_own_head = shape.trains_head && !shape.config.tie_word_embeddings;
  const int64_t vocabularies = (shape.trains_embedding ? 1 : 0) + (has_own_head ? 1 : 0);
  return (shape.parameters.trainable() - vocabularies * head_elements(shape)) *
         shape.element_bytes() / shape.config.num_hidden_layers;
}

/// One chunk; on a CPU without a kernel of ours two more in float32.
int64_t logits(const RunShape& shape, const PassTensors& t) {
  const int64_t vocab_size = shape.config.vocab_size;
  const int64_t rows = loss_chunk_rows(shape.device, shape.loss_chunk_tokens, vocab_size);
  const bool in_place = !shape.device.is_cpu() || processor() != Processor::kNone;
  return std::min(rows, t.tokens()) * vocab_size * (t.element + (in_place ? 0 : 8));
}

int64_t loss_working(const RunShape& shape, const PassTensors& t) {
  // The last residual, normed, and its gradient.
  const int64_t residual = 3 * t.hidden();
  if (!shape.trains_head) return residual + logits(shape, t);
  // The head's gradient in float32, and a block of a chunk's or, at the end, all of it in the
  // dtype.
  const int64_t head = head_elements(shape);
  const int64_t block =
      std::min(kVocabularyBlock, shape.config.vocab_size) * shape.config.hidden_size;
  return residual + head * 4 + std::max(logits(shape, t) + block * t.element, head * t.element);
}

/// What any pass has: the rotation's tables, ids and positions, labels and documents.
int64_t pass_bytes(const RunShape& shape, const PassTensors& t) {
  const int64_t tables = shape.config.decoder.local_rope ? 2 : 1;
  return tables * t.features(shape.config.head_dim) + t.tokens() * 32 + product_scratch(shape);
}

/// A forward pass without gradients over one row: a layer, or the last norm and the loss.
int64_t validation_working(const RunShape& shape, const Stage& stage, const PassTensors& t) {
  int64_t other_rows = 0;  // of any layer
  for (int64_t layer = 0; layer < shape.config.num_hidden_layers; ++layer) {
    other_rows = std::max(other_rows, stage.attention->other_rows(layer, stage.batch_size));
  }
  return pass_bytes(shape, t) + std::max(LayerMemory(shape, t).forward(other_rows),
                                         t.hidden() + std::max(t.hidden(), logits(shape, t)));
}

/// When backward is done and all it kept is free: the gradients of all, and what either the
/// embeddings' takes beside them or adding to those of earlier passes.
int64_t update_working(const RunShape& shape, const Stage& stage, const PassTensors& t) {
  const int64_t trained = shape.parameters.trainable();
  int64_t embedding = 0, adding = 0;
  if (shape.trains_embedding) {
    // A tied embedding's gradient comes in two.
    const bool twice = shape.config.tie_word_embeddings;
    embedding = pass_bytes(shape, t) + t.hidden() + (twice ? head_elements(shape) * t.element : 0);
  }
  if (stage.gradient_accumulation_steps > 1 && t.element < 4) {
    // LibTorch copies to float32 what it adds to float32: of all weights a vocabulary's is large.
    // With two passes its sum in float32 is new; then it replaces both gradients.
    const bool is_large = shape.trains_embedding || shape.trains_head;
    const int64_t copies = stage.gradient_accumulation_steps == 2 ? 2 : 1;
    adding = is_large ? copies * head_elements(shape) * 4 : 0;
  }
  // LibTorch's AdamW takes gradients in float32: small ones together, that of a vocabulary alone.
  const int64_t in_float32 = shape.device.is_cpu() ? 0 : trained * 4;
  return trained * t.element + std::max(embedding, adding) + in_float32;
}

/// What the layers keep, and the peaks of their backward beyond that. A layer at work finds what
/// the layers up to it keep, and the gradients of those after it.
void plan_layers(const RunShape& shape, const Stage& stage, const MemoryOptions& memory,
                 const PassTensors& t, MemoryPlan& plan) {
  const LayerMemory layer_memory(shape, t);
  StoredTensors store(shape, memory);
  const int64_t layers = shape.config.num_hidden_layers, first = first_layers(memory, layers);
  const int64_t gradients_of_layer = gradient_bytes_of_layer(shape);
  int64_t beside = 0, attention = 0, mlp = 0;
  for (int64_t layer = 0; layer < layers; ++layer) {
    const int64_t other_rows = stage.attention->other_rows(layer, stage.batch_size);
    if (2 * layer + 1 < shape.blocks_before_trained) {
      mlp = std::max(mlp, layer_memory.forward(other_rows));
      continue;
    }
    const LayerPass pass{.recompute = layer < first ? *memory.recompute : recompute_of_rest(memory),
                         .records_attention = 2 * layer >= shape.blocks_before_trained,
                         .other_rows = other_rows};
    const KeptByLayer kept = layer_memory.kept(pass);
    const BackwardOfLayer backward = layer_memory.backward(pass);
    store.put(kept.stored);
    beside += kept.beside;
    const size_t all = kept.stored.size(), for_mlp = kept.for_mlp;
    const int64_t waiting = beside + (layers - 1 - layer) * gradients_of_layer;
    mlp = std::max(mlp, waiting + store.at_work(for_mlp > 0 ? for_mlp : all, 0) + backward.mlp);
    if (!pass.records_attention) continue;
    attention = std::max(attention, waiting - kept.of_mlp + store.at_work(all - for_mlp, for_mlp) +
                                        backward.attention);
  }
  plan.kept = store.on_device() + beside;
  plan.stored = store.in_ram();
  plan.disk = store.on_disk();
  plan.attention = std::max<int64_t>(0, attention - plan.kept);
  plan.mlp = std::max<int64_t>(0, mlp - plan.kept);
}

}  // namespace

MemoryPlan plan_memory(const RunShape& shape, const Stage& stage, const MemoryOptions& memory) {
  const PassTensors t{shape.config, shape.element_bytes(), stage.batch_size, stage.seq_len,
                      *memory.chunk_tokens};
  MemoryPlan plan;
  plan.program = shape.device.is_cpu() ? kProgramBytes : kCudaProgramBytes;
  plan.weights = weight_bytes(shape, memory);
  plan.trained = trained_bytes(shape, stage, memory);
  plan_layers(shape, stage, memory, t, plan);

  const int64_t always = pass_bytes(shape, t);
  const int64_t head_gradient = shape.trains_head ? head_elements(shape) * t.element : 0;
  plan.attention += always + head_gradient;
  plan.mlp += always + head_gradient;
  plan.loss = always + loss_working(shape, t);
  plan.update = update_working(shape, stage, t);
  if (shape.validation_seq_len) {
    const int64_t tokens =
        *shape.validation_seq_len > 0 ? *shape.validation_seq_len : stage.seq_len;
    plan.validation = validation_working(
        shape, stage, {shape.config, t.element, /*rows=*/1, tokens, *memory.chunk_tokens});
  }
  if (shape.short_context) {  // its windows are forward passes like those of a validation
    const auto [tokens, step] = *shape.short_context;
    const int64_t window = std::min(stage.seq_len, tokens + step - 1);
    plan.validation = std::max(
        plan.validation,
        validation_working(shape, stage,
                           {shape.config, t.element, /*rows=*/1, window, *memory.chunk_tokens}));
  }
  plan.working = std::max({plan.attention, plan.mlp, plan.loss, plan.update - plan.kept,
                           plan.validation - plan.kept, int64_t{0}});
  return plan;
}

}  // namespace longspan
