#include "checkpoints/rope_description.h"

#include <cmath>

#include "src/core/text.h"

namespace longspan {

std::string describe_rope(const ModelConfig& config) {
  bool whole = config.rope_theta == std::floor(config.rope_theta) && config.rope_theta < 1e15;
  std::string theta = whole ? human_count(static_cast<int64_t>(config.rope_theta))
                            : fmt::format("{:.6g}", config.rope_theta);
  const RopeScaling& scaling = *config.rope_scaling;
  if (scaling.rope_type() == "default") return fmt::format("unscaled, rope_theta {}", theta);
  std::string over;
  if (int64_t original = scaling.original_max_position_embeddings(); original > 0) {
    over = fmt::format(" over {} positions", human_count(original));
  }
  return fmt::format("{} x{:.6g}{}, rope_theta {}", scaling.rope_type(), scaling.factor(), over,
                     theta);
}

}  // namespace longspan
