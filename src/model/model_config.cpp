#include "src/model/model_config.h"

namespace longspan {

namespace {

int64_t original_length(const RopeScaling* scaling, int64_t max_position_embeddings) {
  int64_t original = scaling ? scaling->original_max_position_embeddings() : 0;
  return original > 0 ? original : max_position_embeddings;
}

}  // namespace

RopeGeometry ModelConfig::rope_geometry() const {
  int64_t rotary_dim = rotated_dimensions(head_dim, decoder.partial_rotary_factor);
  return {rotary_dim, rope_theta, original_length(rope_scaling.get(), max_position_embeddings)};
}

RopeGeometry ModelConfig::local_rope_geometry() const {
  const LocalRope& local = *decoder.local_rope;
  return {head_dim, local.rope_theta,
          original_length(local.rope_scaling.get(), max_position_embeddings)};
}

LayerOptions ModelConfig::layer(int64_t index) const {
  return decoder.layers.empty() ? LayerOptions{} : decoder.layers[static_cast<size_t>(index)];
}

}  // namespace longspan
