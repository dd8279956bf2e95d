#include "checkpoints/torch/torch_checkpoint.h"

#include <ATen/ops/as_strided.h>

#include "checkpoints/dtype.h"
#include "checkpoints/torch/unpickler.h"
#include "checkpoints/torch/zip_archive.h"
#include "src/core/error.h"

namespace longspan {

namespace {

/// Tells apart what people give the same endings.
void require_zip(std::string_view bytes, const std::string& path) {
  if (bytes.starts_with("PK\x03\x04")) return;
  bool tar = bytes.size() > 262 && bytes.substr(257, 5) == "ustar";
  // The pickled magic number 0x1950a86a20f9469cfc6c.
  bool legacy =
      bytes.size() > 2 && bytes.substr(2).starts_with("\x8a\x0al\xfc\x9c\x46\xf9 j\xa8P\x19");
  if (tar || legacy) {
    fail(ExitCode::kModel,
         "{}: is in the format of PyTorch before 1.6; load it there and save it again: "
         "torch.save(torch.load(path), path)",
         path);
  }
  fail(ExitCode::kModel, "{}: is no file of torch.save (it does not begin as a ZIP archive)", path);
}

/// "archive/data.pkl" -> "archive/": torch.save names the folder after the file.
std::string root_of(const std::map<std::string, ZipMember>& members, const std::string& path) {
  constexpr std::string_view kPickle = "data.pkl";
  for (const auto& [name, member] : members) {
    bool one_deep = name.ends_with(kPickle) && name.find('/') == name.size() - kPickle.size() - 1;
    if (name == kPickle || one_deep) return name.substr(0, name.size() - kPickle.size());
  }
  fail(ExitCode::kModel, "{}: has no data.pkl; expected a file of torch.save", path);
}

}  // namespace

struct TorchCheckpoint::Window {
  PickledTensor pickled;
  int64_t storage_begin;  // in the file
};

TorchCheckpoint::TorchCheckpoint(const std::filesystem::path& path)
    : path_(path.string()), file_(std::make_shared<MappedFile>(path)) {
  std::string_view bytes(reinterpret_cast<const char*>(file_->data()),
                         static_cast<size_t>(file_->size()));
  require_zip(bytes, path_);
  auto members = read_zip_directory(bytes, path_);
  std::string root = root_of(members, path_);
  auto content = [&](const ZipMember& member) { return bytes.substr(member.begin, member.size); };
  if (auto order = members.find(root + "byteorder");
      order != members.end() && content(order->second) != "little") {
    fail(ExitCode::kModel, "{}: was written on a big-endian machine, which is not supported",
         path_);
  }
  for (auto& pickled : unpickle_state_dict(content(members.at(root + "data.pkl")), path_)) {
    auto storage = members.find(fmt::format("{}data/{}", root, pickled.storage));
    auto element = static_cast<int64_t>(c10::elementSize(pickled.dtype));
    if (storage == members.end() || storage->second.size / element < pickled.storage_numel) {
      fail(ExitCode::kModel, "{}: tensor '{}': its storage '{}' is missing or too short", path_,
           pickled.name, pickled.storage);
    }
    TensorInfo info{pickled.name, std::string(safetensors_dtype(pickled.dtype)), pickled.sizes};
    info.bytes = element * info.numel();
    infos_.push_back(std::move(info));
    std::string name = pickled.name;
    windows_[name] =
        std::make_shared<const Window>(Window{std::move(pickled), storage->second.begin});
  }
}

at::Tensor TorchCheckpoint::tensor(const std::string& name) const {
  auto found = windows_.find(name);
  if (found == windows_.end()) fail(ExitCode::kModel, "{}: has no tensor '{}'", path_, name);
  const PickledTensor& pickled = found->second->pickled;
  return view_of(file_, found->second->storage_begin, {pickled.storage_numel}, pickled.dtype)
      .as_strided(pickled.sizes, pickled.strides, pickled.storage_offset)
      .contiguous();
}

}  // namespace longspan
