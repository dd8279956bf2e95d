#pragma once

#include <cstdint>

#include "src/model/model_config.h"

namespace longspan {

/// Sizes of the tensors of one pass over a batch, in bytes.
struct PassTensors {
  const ModelConfig& config;
  int64_t element;  // bytes
  int64_t rows, row_tokens;
  int64_t chunk_tokens = 0;  // MemoryOptions::chunk_tokens, of each row

  bool chunked() const { return chunk_tokens > 0 && chunk_tokens < row_tokens; }
  /// What is at work at once where each row is cut into chunks.
  PassTensors part() const {
    return {config, element, rows, chunked() ? chunk_tokens : row_tokens};
  }
  int64_t in_float32(int64_t bytes) const { return bytes / element * 4; }
  int64_t tokens() const { return rows * row_tokens; }
  int64_t features(int64_t count) const { return tokens() * count * element; }
  int64_t hidden() const { return features(config.hidden_size); }
  int64_t queries() const { return features(config.num_attention_heads * config.head_dim); }
  int64_t keys() const { return features(config.num_key_value_heads * config.head_dim); }
  int64_t intermediate() const { return features(config.intermediate_size); }
  /// A number of 4 bytes for each query: where its interval begins, or its log-sum-exp.
  int64_t of_each_query() const { return tokens() * config.num_attention_heads * 4; }
};

}  // namespace longspan
