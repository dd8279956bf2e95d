#include "checkpoints/tensor_file.h"

#include "src/core/text.h"

namespace longspan {

namespace {

std::variant<SafetensorsReader, TorchCheckpoint> open_reader(const std::filesystem::path& path) {
  if (lower_case(path.extension().string()) == ".safetensors") return SafetensorsReader(path);
  return TorchCheckpoint(path);
}

}  // namespace

bool is_tensor_file(const std::filesystem::path& path) {
  const std::string ending = lower_case(path.extension().string());
  return ending == ".safetensors" || ending == ".bin" || ending == ".pt" || ending == ".pth";
}

TensorFile::TensorFile(const std::filesystem::path& path) : reader_(open_reader(path)) {}

const std::vector<TensorInfo>& TensorFile::tensors() const {
  return std::visit(
      [](const auto& reader) -> const auto& { return reader.tensors(); }, reader_);
}

at::Tensor TensorFile::tensor(const std::string& name) const {
  return std::visit([&](const auto& reader) { return reader.tensor(name); }, reader_);
}

}  // namespace longspan
