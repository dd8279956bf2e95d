#include "checkpoints/gguf/gguf.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <set>

#include "src/core/error.h"

namespace longspan {

namespace {

// Keys that gguf-split and llama.cpp's converter write into each part.
constexpr const char* kSplitNumber = "split.no";  // from 0
constexpr const char* kSplitCount = "split.count";
constexpr const char* kSplitTensors = "split.tensors.count";  // of all parts

/// "NAME" of NAME-00002-of-00003.gguf; llama.cpp finds the other parts by it.
std::string split_name(const std::filesystem::path& path, int64_t number, int64_t count) {
  std::string name = path.filename().string();
  std::string ending = fmt::format("-{:05}-of-{:05}.gguf", number + 1, count);
  if (!name.ends_with(ending)) {
    fail(
        ExitCode::kModel,
        "{}: says that it is part {} of {}, and its name does not end in {}; give it the name back "
        "that it was published under",
        path.string(), number + 1, count, ending);
  }
  return name.substr(0, name.size() - ending.size());
}

}  // namespace

GgufReader::GgufReader(const std::filesystem::path& path) : place_(path.string()) {
  GgufHeader header = read_gguf_header(std::make_shared<MappedFile>(path), place_);
  files_.push_back(path);
  metadata_ = std::move(header.metadata);
  tensors_ = std::move(header.tensors);
  if (int64_t count = integer(kSplitCount, 1); count > 1) read_split(path, count);
}

void GgufReader::read_split(const std::filesystem::path& path, int64_t count) {
  const int64_t own = integer(kSplitNumber);
  if (own >= count) {
    fail(ExitCode::kModel, "{}: {} is {}, expected less than {} {}", place_, kSplitNumber, own,
         kSplitCount, count);
  }
  const std::string name = split_name(path, own, count);
  auto part = [&](int64_t i) {
    return path.parent_path() / fmt::format("{}-{:05}-of-{:05}.gguf", name, i + 1, count);
  };
  if (own != 0) {
    fail(ExitCode::kModel, "{}: is part {} of {}; give the first, {}", place_, own + 1, count,
         part(0).string());
  }
  std::set<std::string> names;
  for (const auto& tensor : tensors_) names.insert(tensor.name);
  for (int64_t i = 1; i < count; ++i) {
    const std::string place = part(i).string();
    if (!std::filesystem::exists(part(i))) {
      fail(ExitCode::kModel, "{}: is missing; {} is one of {} parts, put all into one folder",
           place, place_, count);
    }
    GgufHeader header = read_gguf_header(std::make_shared<MappedFile>(part(i)), place);
    files_.push_back(part(i));
    if (header.metadata[kSplitNumber] != i || header.metadata[kSplitCount] != count) {
      fail(ExitCode::kModel, "{}: says {} {} and {} {}, expected {} and {}: it is of another model",
           place, kSplitNumber, header.metadata[kSplitNumber].dump(), kSplitCount,
           header.metadata[kSplitCount].dump(), i, count);
    }
    for (auto& tensor : header.tensors) {
      if (!names.insert(tensor.name).second) {
        fail(ExitCode::kModel, "{}: tensor '{}' is in an earlier part too", place, tensor.name);
      }
      tensors_.push_back(std::move(tensor));
    }
  }
  if (int64_t expected = integer(kSplitTensors);
      expected != static_cast<int64_t>(tensors_.size())) {
    fail(ExitCode::kModel, "{}: {} says {} tensors, its {} parts have {}", place_, kSplitTensors,
         expected, count, tensors_.size());
  }
}

const Json* GgufReader::value(const std::string& key) const {
  auto found = metadata_.find(key);
  return found == metadata_.end() ? nullptr : &found->second;
}

int64_t GgufReader::integer(const std::string& key, std::optional<int64_t> fallback) const {
  const Json* found = value(key);
  if (!found && fallback) return *fallback;
  if (!found || !found->is_number_integer() || found->get<uint64_t>() > uint64_t{INT64_MAX}) {
    fail(ExitCode::kModel, "{}: {} {}", place_, key, found ? "is no whole number" : "is missing");
  }
  return found->get<int64_t>();
}

double GgufReader::number(const std::string& key, std::optional<double> fallback) const {
  const Json* found = value(key);
  if (!found && fallback) return *fallback;
  if (!found || !found->is_number()) {
    fail(ExitCode::kModel, "{}: {} {}", place_, key, found ? "is no number" : "is missing");
  }
  return found->get<double>();
}

std::string GgufReader::text(const std::string& key, std::optional<std::string> fallback) const {
  const Json* found = value(key);
  if (!found && fallback) return *fallback;
  if (!found || !found->is_string()) {
    fail(ExitCode::kModel, "{}: {} {}", place_, key, found ? "is no text" : "is missing");
  }
  return found->get<std::string>();
}

const GgufTensor* GgufReader::find(const std::string& name) const {
  auto found = std::find_if(tensors_.begin(), tensors_.end(),
                            [&](const GgufTensor& tensor) { return tensor.name == name; });
  return found == tensors_.end() ? nullptr : &*found;
}

at::Tensor GgufReader::tensor(const GgufTensor& tensor) const {
  if (!tensor.type->dequantize_block) {
    return view_of(tensor.file, tensor.offset, tensor.shape, pytorch_dtype(*tensor.type));
  }
  at::Tensor out = at::empty(tensor.shape, at::kFloat);
  dequantize(*tensor.type, tensor.file->data() + tensor.offset,
             tensor.elements / tensor.type->block_elements, out.mutable_data_ptr<float>());
  tensor.file->forget(tensor.offset, tensor.bytes);
  return out;
}

}  // namespace longspan
