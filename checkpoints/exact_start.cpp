#include "checkpoints/exact_start.h"

#include <string_view>

#include "checkpoints/model_source.h"
#include "src/nn/lora_linear.h"

namespace longspan {

at::Tensor exact_start(const ModelSource& source, const std::string& parameter) {
  constexpr std::string_view kMagnitude = ".lora_magnitude_vector";
  const bool is_magnitude = parameter.ends_with(kMagnitude);
  std::string name = parameter;
  if (is_magnitude) name.replace(name.size() - kMagnitude.size(), name.npos, ".weight");
  if (!find_tensor(source.tensors(), name)) return {};
  const at::Tensor stored = source.tensor(name);
  return is_magnitude ? lora_row_norms(stored, {}, {}, 0) : stored.to(at::kFloat);
}

}  // namespace longspan
