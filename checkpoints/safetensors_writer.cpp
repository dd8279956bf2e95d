#include "checkpoints/safetensors_writer.h"

#include "checkpoints/dtype.h"
#include "checkpoints/safetensors.h"
#include "src/core/json.h"

namespace longspan {

namespace {

int64_t bytes_of(const TensorInfo& info) {
  const at::ScalarType dtype = from_safetensors_dtype(info.dtype).value();
  return info.numel() * static_cast<int64_t>(c10::elementSize(dtype));
}

/// The length and the JSON, padded with blanks so that the data begins at a multiple of 8.
std::string header_of(const std::vector<TensorInfo>& tensors,
                      const std::map<std::string, std::string>& metadata) {
  // Pieced together by hand: inserting n keys into a Json takes n^2 comparisons.
  std::string json = fmt::format("{{\"__metadata__\":{}", Json(metadata).dump());
  int64_t begin = 0;
  for (const auto& info : tensors) {
    json += fmt::format(",{}:{{\"dtype\":\"{}\",\"shape\":{},\"data_offsets\":[{},{}]}}",
                        Json(info.name).dump(), info.dtype, Json(info.shape).dump(), begin,
                        begin + info.bytes);
    begin += info.bytes;
  }
  json += "}";
  json.resize((json.size() + 7) / 8 * 8, ' ');
  uint64_t length = json.size();
  return std::string(reinterpret_cast<const char*>(&length), sizeof length) + json;
}

}  // namespace

SafetensorsWriter::SafetensorsWriter(const std::filesystem::path& path,
                                     std::vector<TensorInfo> tensors,
                                     std::map<std::string, std::string> metadata)
    : file_(path), tensors_(std::move(tensors)) {
  for (auto& info : tensors_) info.bytes = bytes_of(info);
  metadata.emplace("format", "pt");
  file_.write(header_of(tensors_, metadata));
}

void SafetensorsWriter::add(const at::Tensor& tensor) {
  const TensorInfo& info = tensors_.at(next_++);
  TORCH_CHECK(tensor.sizes() == at::IntArrayRef(info.shape) &&
                  safetensors_dtype(tensor.scalar_type()) == info.dtype,
              "tensor '", info.name, "' differs from the header");
  at::Tensor dense = tensor.cpu().contiguous();
  file_.write(dense.data_ptr(), dense.nbytes());
}

void SafetensorsWriter::commit() {
  TORCH_CHECK(next_ == tensors_.size(), "a tensor is missing");
  file_.commit();
}

int64_t write_safetensors(const std::filesystem::path& path,
                          const std::vector<std::pair<std::string, at::Tensor>>& tensors,
                          std::map<std::string, std::string> metadata) {
  std::vector<TensorInfo> infos;
  int64_t bytes = 0;
  for (const auto& [name, tensor] : tensors) {
    infos.push_back(
        {name, std::string(safetensors_dtype(tensor.scalar_type())), tensor.sizes().vec(), 0});
    bytes += static_cast<int64_t>(tensor.nbytes());
  }
  SafetensorsWriter writer(path, std::move(infos), std::move(metadata));
  for (const auto& [name, tensor] : tensors) writer.add(tensor);
  writer.commit();
  return bytes;
}

}  // namespace longspan
