#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "src/model/model_config.h"
#include "src/nn/lora_linear.h"
#include "src/nn/quantized_weight.h"
#include "trainer/plan/parameter_count.h"
#include "trainer/short_context.h"

namespace longspan {

/// A projection of a decoder layer.
struct ProjectionShape {
  std::string name;  // "q_proj"
  int64_t in_features = 0, out_features = 0;
  int64_t rank = 0;       // of its low-rank part; 0: none
  bool is_frozen = true;  // false: in modules_to_save
};

/// What a plan must know of a model and of what is trained in it; made without weights.
struct RunShape {
  ModelConfig config;
  ParameterCount parameters;
  std::vector<ProjectionShape> projections;  // of the last layer; the others are like it
  at::ScalarType dtype = at::kBFloat16;
  Quantization quantization = Quantization::kNone;
  bool trains_embedding = false, trains_head = false;
  /// Of the blocks of all layers, attention and MLP in turn, those before the first that is trained
  /// or has a gradient to hand on to the embeddings. Backward ends there.
  int64_t blocks_before_trained = 0;
  bool use_dora = false, has_dropout = false;
  std::optional<int64_t> validation_seq_len = {};  // 0: that of the stage; nothing: no validation
  std::optional<ShortContext> short_context = {};  // of loss.weights long_minus_short
  bool can_be_mapped = true;  // the projections' weights, from the model's own file
  at::Device device = at::kCPU;
  bool deterministic = false;  // the kernels of a GPU
  int64_t loss_chunk_tokens = 0;
  int64_t threads = 0;

  int64_t element_bytes() const { return static_cast<int64_t>(c10::elementSize(dtype)); }
};

/// threads 0: as many as LibTorch has now.
RunShape run_shape(const ModelConfig& config, const LoraOptions& lora, at::ScalarType dtype,
                   Quantization quantization, int64_t loss_chunk_tokens, int64_t threads);

}  // namespace longspan
