#include "src/model/model_config.h"

namespace longspan {

RopeGeometry ModelConfig::rope_geometry() const {
  int64_t original = rope_scaling ? rope_scaling->original_max_position_embeddings() : 0;
  return {head_dim, rope_theta, original > 0 ? original : max_position_embeddings};
}

}  // namespace longspan
