#include "checkpoints/exact_start.h"

#include <algorithm>
#include <string_view>

#include "checkpoints/model_source.h"
#include "src/nn/lora_linear.h"

namespace longspan {

namespace {

bool has_tensor(const ModelSource& source, const std::string& name) {
  const auto tensors = source.tensors();
  return std::any_of(tensors.begin(), tensors.end(),
                     [&](const TensorInfo& info) { return info.name == name; });
}

}  // namespace

at::Tensor exact_start(const ModelSource& source, const std::string& parameter) {
  constexpr std::string_view kMagnitude = ".lora_magnitude_vector";
  const bool is_magnitude = parameter.ends_with(kMagnitude);
  std::string name = parameter;
  if (is_magnitude) name.replace(name.size() - kMagnitude.size(), name.npos, ".weight");
  if (!has_tensor(source, name)) return {};
  const at::Tensor stored = source.tensor(name);
  return is_magnitude ? lora_row_norms(stored, {}, {}, 0) : stored.to(at::kFloat);
}

}  // namespace longspan
