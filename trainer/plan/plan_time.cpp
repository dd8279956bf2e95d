#include "trainer/plan/plan_time.h"

#include <algorithm>
#include <cmath>

#include "src/nn/chunked_cross_entropy.h"
#include "trainer/plan/real.h"
#include "trainer/plan/training_flops.h"

namespace longspan {

namespace {

/// Features that one token reads and writes in one layer, besides the GEMMs.
struct Traffic {
  double forward = 0, recomputed = 0, backward = 0;
};

Traffic elementwise_features(const RunShape& shape, Recompute recompute) {
  const ModelConfig& c = shape.config;
  const double hidden = real(c.hidden_size), intermediate = real(c.intermediate_size);
  const double rotated = real((c.num_attention_heads + c.num_key_value_heads) * c.head_dim);
  Traffic traffic;
  const double norms = 4 * hidden, residuals = 6 * hidden;
  const bool remakes_residual = recompute != Recompute::kSelective;
  traffic.recomputed = norms + 3 * intermediate + 2 * rotated + (remakes_residual ? 3 * hidden : 0);
  traffic.forward = norms + 3 * intermediate + 2 * rotated + residuals;
  traffic.backward = 6 * hidden + residuals + 5 * intermediate + 2 * rotated;
  for (const auto& p : shape.projections) {
    if (p.rank == 0) continue;
    // x A^T, and y added to in place; backward reads grad_y twice and adds to grad_x.
    const double in = real(p.in_features), out = real(p.out_features);
    traffic.forward += in + 2 * out;
    const bool again = p.name == "o_proj" ? remakes_residual : p.name != "down_proj";
    if (again) traffic.recomputed += in + 2 * out;
    traffic.backward += 3 * in + 2 * out;
  }
  return traffic;
}

/// The part of the projections' weights that are trained whole.
double trained_projections(const RunShape& shape) {
  double trained = 0, all = 0;
  for (const auto& p : shape.projections) {
    const double elements = real(p.in_features * p.out_features);
    trained += p.is_frozen ? 0 : elements;
    all += elements;
  }
  return trained / all;
}

/// Of all projections of the model, dense.
double dense_bytes(const RunShape& shape) {
  double elements = 0;
  for (const auto& p : shape.projections) elements += real(p.in_features * p.out_features);
  return elements * real(shape.config.num_hidden_layers * shape.element_bytes());
}

/// Bytes that dequantising every projection of the model once writes.
double dequantized_bytes(const RunShape& shape) {
  return shape.quantization == Quantization::kNone ? 0 : dense_bytes(shape);
}

/// Of the weights that are read from disk in a forward pass.
double mapped_bytes(const RunShape& shape, const MemoryOptions& memory) {
  const bool dense = shape.quantization == Quantization::kNone;
  return memory.weights == FrozenWeights::kMapped && dense ? dense_bytes(shape) : 0;
}

/// The float32 gradient of the head is added to once a chunk.
double head_bytes(const RunShape& shape, const Stage& stage) {
  const double chunks =
      real(stage.tokens_per_step()) /
      real(loss_chunk_rows(shape.device, shape.loss_chunk_tokens, shape.config.vocab_size));
  const double logits = real(stage.tokens_per_step() * shape.config.vocab_size);
  double bytes = 4 * logits * real(shape.element_bytes());
  if (shape.trains_head) {
    bytes += 8 * std::max(1.0, chunks) * real(shape.config.vocab_size * shape.config.hidden_size);
  }
  return bytes;
}

/// Adds the forward passes over short windows of rows that are one document each.
void add_short_windows(const RunShape& shape, const Stage& stage, const KernelRates& rates,
                       TimePlan& time) {
  if (!shape.short_context) return;
  const auto [tokens, step] = *shape.short_context;
  const auto windows = std::ssize(short_windows(stage.seq_len, *shape.short_context));
  Stage reading = stage;
  reading.seq_len = tokens + step - 1;
  reading.batch_size = windows * stage.rows_per_step();
  reading.gradient_accumulation_steps = 1;
  if (reading.batch_size == 0) return;
  const StepFlops flops = step_flops(shape.config, reading, {.recompute = Recompute::kNone});
  time.linears_forward += 1e-9 * flops.linears_forward / rates.linear_gflops;
  time.attention_forward += 1e-9 * flops.attention_forward / rates.attention_forward_gflops;
  const double predicted = real(step) / real(reading.seq_len);  // a half of flops.head is logits
  time.head += 1e-9 * predicted * flops.head / 2 / rates.head_gflops;
  const double features = elementwise_features(shape, Recompute::kNone).forward;
  time.elementwise += real(reading.tokens_per_step() * shape.config.num_hidden_layers) * features *
                      real(shape.element_bytes()) / (1e9 * rates.elementwise_gb_per_second);
}

}  // namespace

TimePlan plan_time(const RunShape& shape, const Stage& stage, const MemoryOptions& memory,
                   const MemoryPlan& planned, const KernelRates& rates) {
  const StepFlops flops =
      step_flops(shape.config, stage, memory, shape.trains_head, trained_projections(shape));
  const double bandwidth = 1e9 * rates.elementwise_gb_per_second;
  TimePlan time;
  time.linears_forward = 1e-9 * flops.linears_forward / rates.linear_gflops;
  time.linears_recomputed = 1e-9 * flops.linears_recomputed / rates.linear_gflops;
  time.linears_backward = 1e-9 * flops.linears_backward / rates.linear_backward_gflops;
  time.attention_forward = 1e-9 * flops.attention_forward / rates.attention_forward_gflops;
  time.attention_recomputed = 1e-9 * flops.attention_recomputed / rates.attention_forward_gflops;
  time.attention_backward = 1e-9 * flops.attention_backward / rates.attention_backward_gflops;
  time.head = 1e-9 * flops.head / rates.head_gflops + head_bytes(shape, stage) / bandwidth;

  const Traffic traffic = elementwise_features(shape, *memory.recompute);
  const Traffic of_rest = elementwise_features(shape, recompute_of_rest(memory));
  const double tokens = real(stage.tokens_per_step()),
               layers = real(shape.config.num_hidden_layers);
  const int64_t all = shape.config.num_hidden_layers;
  const double first = real(first_layers(memory, all)) / layers;
  const double times_recomputed = real(recomputed_layers(memory, all)) / layers;
  const double features = traffic.forward + traffic.backward + first * traffic.recomputed +
                          (times_recomputed - first) * of_rest.recomputed;
  const double passes =
      real(stage.gradient_accumulation_steps) *
      (*memory.chunk_tokens > 0 ? std::ceil(real(stage.seq_len) / real(*memory.chunk_tokens)) : 1);
  time.elementwise = (tokens * layers * features * real(shape.element_bytes()) +
                      passes * (2 + times_recomputed) * dequantized_bytes(shape)) /
                     bandwidth;
  // Gradient, master, moments read; master, moments, parameter written; the norm reads once more.
  time.optimizer = 34 * real(shape.parameters.trainable()) / bandwidth;

  // Activations once each way, mapped weights once forward and once backward.
  const double passes_a_step = real(stage.gradient_accumulation_steps);
  const double bytes = real(planned.disk) * passes_a_step;
  const double weights = mapped_bytes(shape, memory) * passes_a_step;
  const double forward = time.linears_forward + time.attention_forward;
  const double backward = time.linears_recomputed + time.linears_backward +
                          time.attention_recomputed + time.attention_backward;
  const double writing = 1e-9 * bytes / rates.disk_write_gb_per_second;
  const double reading_a_byte = 1e-9 / rates.disk_read_gb_per_second;
  time.disk = std::max(0.0, writing + weights * reading_a_byte - forward) +
              std::max(0.0, (bytes + weights) * reading_a_byte - backward);
  if (!shape.device.is_cpu() && memory.offload != Offload::kNone) {
    const double copying =
        1e-9 * real(planned.stored + planned.disk) * passes_a_step / rates.host_copy_gb_per_second;
    time.host_copy = std::max(0.0, copying - forward) + std::max(0.0, copying - backward);
  }
  add_short_windows(shape, stage, rates, time);  // nothing is stored meanwhile
  return time;
}

}  // namespace longspan
