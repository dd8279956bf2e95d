#include "checkpoints/gguf/gguf_writer.h"

#include <c10/util/accumulate.h>

#include <algorithm>
#include <limits>

#include "src/core/crc32c.h"
#include "src/core/error.h"

namespace longspan {

namespace {

constexpr int64_t kAlignment = 32;  // of each tensor; the format's default

template <class T>
void append(std::string& bytes, T value) {
  bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
}

void append_text(std::string& bytes, std::string_view text) {
  append(bytes, uint64_t{text.size()});
  bytes.append(text);
}

int64_t padded(int64_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

std::string header_of(const GgufMetadata& metadata, const std::vector<GgufTensorPlan>& tensors) {
  std::string header = "GGUF";
  append(header, uint32_t{3});
  append(header, uint64_t{tensors.size()});
  append(header, metadata.size());
  header += metadata.bytes();
  int64_t offset = 0;
  for (const auto& tensor : tensors) {
    append_text(header, tensor.name);
    append(header, static_cast<uint32_t>(tensor.shape.size()));
    for (auto size = tensor.shape.rbegin(); size != tensor.shape.rend(); ++size) {
      append(header, static_cast<uint64_t>(*size));
    }
    append(header, tensor.type->id);
    append(header, static_cast<uint64_t>(offset));
    offset += padded(tensor.bytes());
  }
  header.resize(static_cast<size_t>(padded(static_cast<int64_t>(header.size()))));
  return header;
}

Json with_header(Json made_from, const std::string& header) {
  made_from["header_crc32c"] = crc32c(header.data(), header.size());
  return made_from;
}

}  // namespace

void GgufMetadata::begin(std::string_view key, uint32_t type) {
  append_text(bytes_, key);
  append(bytes_, type);
  ++size_;
}

void GgufMetadata::set(std::string_view key, bool value) {
  begin(key, 7);
  append(bytes_, static_cast<uint8_t>(value));
}

void GgufMetadata::set(std::string_view key, uint32_t value) {
  begin(key, 4);
  append(bytes_, value);
}

void GgufMetadata::set(std::string_view key, float value) {
  begin(key, 6);
  append(bytes_, value);
}

void GgufMetadata::set(std::string_view key, std::string_view value) {
  begin(key, 8);
  append_text(bytes_, value);
}

void GgufMetadata::set(std::string_view key, const std::vector<std::string>& values) {
  begin(key, 9);
  append(bytes_, uint32_t{8});
  append(bytes_, uint64_t{values.size()});
  for (const auto& value : values) append_text(bytes_, value);
}

void GgufMetadata::set(std::string_view key, const std::vector<int32_t>& values) {
  begin(key, 9);
  append(bytes_, uint32_t{5});
  append(bytes_, uint64_t{values.size()});
  for (int32_t value : values) append(bytes_, value);
}

void GgufMetadata::set(std::string_view key, const std::vector<float>& values) {
  begin(key, 9);
  append(bytes_, uint32_t{6});
  append(bytes_, uint64_t{values.size()});
  for (float value : values) append(bytes_, value);
}

void GgufMetadata::set_whole(std::string_view key, int64_t value) {
  constexpr int64_t kMost = std::numeric_limits<uint32_t>::max();
  if (value < 0 || value > kMost) {
    fail(ExitCode::kModel,
         "{}: {} has no place in a GGUF, which takes 0 to {}; mend config.json, or convert to a "
         "folder (an OUT without .gguf)",
         key, value, kMost);
  }
  set(key, static_cast<uint32_t>(value));
}

int64_t GgufTensorPlan::bytes() const {
  return c10::multiply_integers(shape) / type->block_elements * type->block_bytes;
}

GgufWriter::GgufWriter(const std::filesystem::path& path, const GgufMetadata& metadata,
                       std::vector<GgufTensorPlan> tensors, Json made_from)
    : file_(path, with_header(std::move(made_from), header_of(metadata, tensors))),
      tensors_(std::move(tensors)) {
  const std::string header = header_of(metadata, tensors_);
  if (file_.size_bytes() == 0) {
    file_.write(header);
    file_.end_part();
    return;
  }
  auto end = static_cast<int64_t>(header.size());
  while (end < file_.size_bytes() && next_ < tensors_.size()) {
    end += padded(tensors_[next_++].bytes());
  }
  if (end != file_.size_bytes()) {
    fail(ExitCode::kFailure, "{}.partial: is damaged; remove it and give the same command again",
         path.string());
  }
}

void GgufWriter::add(const at::Tensor& tensor) {
  constexpr int64_t kElementsAtOnce = int64_t{1} << 22;
  const GgufTensorPlan& plan = tensors_.at(next_++);
  TORCH_CHECK(tensor.sizes() == at::IntArrayRef(plan.shape), "tensor '", plan.name,
              "' differs from the header");
  if (tensor.numel() == 0) return file_.end_part();
  at::Tensor rows = tensor.reshape({-1, plan.shape.empty() ? 1 : plan.shape.back()});
  int64_t step = std::max<int64_t>(kElementsAtOnce / rows.size(1), 1);
  std::string blocks;
  for (int64_t from = 0; from < rows.size(0); from += step) {
    at::Tensor chunk = rows.slice(0, from, std::min(from + step, rows.size(0)))
                           .to(pytorch_dtype(*plan.type))
                           .contiguous();
    if (!plan.type->quantize_block) {
      file_.write(chunk.const_data_ptr(), chunk.nbytes());
      continue;
    }
    int64_t count = chunk.numel() / plan.type->block_elements;
    blocks.resize(static_cast<size_t>(count * plan.type->block_bytes));
    quantize(*plan.type, chunk.const_data_ptr<float>(), count,
             reinterpret_cast<std::byte*>(blocks.data()));
    file_.write(blocks);
  }
  pad();
}

void GgufWriter::pad() {
  int64_t missing = padded(file_.size_bytes()) - file_.size_bytes();
  file_.write(std::string(static_cast<size_t>(missing), 0));
  file_.end_part();
}

void GgufWriter::commit() {
  TORCH_CHECK(next_ == tensors_.size(), "a tensor is missing");
  file_.commit();
}

int64_t gguf_file_bytes(const GgufMetadata& metadata, const std::vector<GgufTensorPlan>& tensors) {
  auto bytes = static_cast<int64_t>(header_of(metadata, tensors).size());
  for (const auto& tensor : tensors) bytes += padded(tensor.bytes());
  return bytes;
}

}  // namespace longspan
