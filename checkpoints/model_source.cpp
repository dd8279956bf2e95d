#include "checkpoints/model_source.h"

#include <map>

#include "checkpoints/dtype.h"
#include "checkpoints/gguf/gguf_source.h"
#include "checkpoints/hf/hf_source.h"
#include "checkpoints/hf/hub_cache.h"
#include "checkpoints/meta/meta_source.h"
#include "checkpoints/tensor_file.h"
#include "src/core/resumable_folder.h"

namespace longspan {

namespace fs = std::filesystem;

Json ModelSource::side_json(std::string_view wanted) const {
  for (const auto& [name, text] : side_files()) {
    if (name == wanted) return parse_json(text, path().string() + "/" + name, ExitCode::kModel);
  }
  return nullptr;
}

Json ModelSource::stamps() const { return file_stamps(path()); }

std::unique_ptr<ModelSource> open_model_source(const fs::path& path) {
  fs::path found = find_model(path);
  if (MetaSource::is_one(found)) return std::make_unique<MetaSource>(found);
  if (fs::is_directory(found)) return std::make_unique<HfSource>(found);
  if (is_tensor_file(found)) {
    const fs::path folder = found.has_parent_path() ? found.parent_path() : fs::path(".");
    return std::make_unique<HfSource>(folder, found.filename().string());
  }
  return std::make_unique<GgufSource>(found);
}

at::ScalarType main_dtype(const ModelSource& source) {
  std::map<at::ScalarType, int64_t> bytes;
  for (const auto& info : source.tensors()) {
    auto dtype = from_safetensors_dtype(info.dtype);
    bytes[dtype && at::isFloatingType(*dtype) ? *dtype : at::kBFloat16] += info.bytes;
  }
  at::ScalarType most = at::kBFloat16;
  for (const auto& [dtype, count] : bytes) {
    if (count > bytes[most]) most = dtype;
  }
  return most == at::kDouble ? at::kFloat : most;
}

}  // namespace longspan
