#include "checkpoints/tensor_info.h"

#include <c10/util/accumulate.h>

#include <algorithm>

#include "src/core/text.h"

namespace longspan {

int64_t TensorInfo::numel() const { return c10::multiply_integers(shape); }

const TensorInfo* find_tensor(const std::vector<TensorInfo>& infos, std::string_view name) {
  const auto found = std::find_if(infos.begin(), infos.end(),
                                  [&](const TensorInfo& info) { return info.name == name; });
  return found == infos.end() ? nullptr : &*found;
}

std::string shape_text(at::IntArrayRef shape) {
  return fmt::format("[{}]", fmt::join(shape.begin(), shape.end(), ", "));
}

std::vector<std::string> fault_lines(std::vector<std::string> faults) {
  constexpr size_t kMost = 20;
  const size_t count = faults.size();
  if (count > kMost) {
    faults.resize(kMost);
    faults.push_back(fmt::format("and {} more", count - kMost));
  }
  return printable_values(faults);
}

}  // namespace longspan
