#pragma once

#include <string>
#include <vector>

#include "tests/checkpoints/temporary_folder.h"

namespace longspan {

/// The bytes of a GGUF, put together field by field, so that a test can spoil each.
class GgufFile {
 public:
  uint32_t version = 3;
  std::string claimed_tensors, claimed_values;  // instead of the right counts, when not empty

  static std::string text(const std::string& text) {
    return bytes_of(uint64_t{text.size()}) + text;
  }

  GgufFile& value(const std::string& key, uint32_t type, const std::string& bytes) {
    values_.push_back(text(key) + bytes_of(type) + bytes);
    return *this;
  }
  GgufFile& set(const std::string& key, uint32_t number) { return value(key, 4, bytes_of(number)); }
  GgufFile& set(const std::string& key, float number) { return value(key, 6, bytes_of(number)); }
  GgufFile& set(const std::string& key, const char* string) { return value(key, 8, text(string)); }
  GgufFile& set(const std::string& key, const std::vector<std::string>& strings) {
    std::string bytes = bytes_of(uint32_t{8}) + bytes_of(uint64_t{strings.size()});
    for (const auto& string : strings) bytes += text(string);
    return value(key, 9, bytes);
  }
  GgufFile& set(const std::string& key, const std::vector<int32_t>& numbers) {
    std::string bytes = bytes_of(uint32_t{5}) + bytes_of(uint64_t{numbers.size()});
    for (int32_t number : numbers) bytes += bytes_of(number);
    return value(key, 9, bytes);
  }

  /// `dimensions` in GGUF's order, the contiguous one first.
  GgufFile& tensor_info(const std::string& name, const std::vector<uint64_t>& dimensions,
                        uint32_t type, uint64_t offset) {
    std::string bytes = text(name) + bytes_of(uint32_t(dimensions.size()));
    for (uint64_t size : dimensions) bytes += bytes_of(size);
    infos_.push_back(bytes + bytes_of(type) + bytes_of(offset));
    return *this;
  }
  GgufFile& data(const std::string& bytes) {
    data_ += bytes + std::string((32 - bytes.size() % 32) % 32, 0);
    return *this;
  }
  GgufFile& tensor(const std::string& name, const std::vector<uint64_t>& dimensions,
                   const std::vector<float>& values) {
    tensor_info(name, dimensions, 0, data_.size());
    return data({reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)});
  }

  std::string bytes() const {
    std::string header = "GGUF" + bytes_of(version);
    header += claimed_tensors.empty() ? bytes_of(uint64_t{infos_.size()}) : claimed_tensors;
    header += claimed_values.empty() ? bytes_of(uint64_t{values_.size()}) : claimed_values;
    for (const auto& value : values_) header += value;
    for (const auto& info : infos_) header += info;
    return header + std::string((32 - header.size() % 32) % 32, 0) + data_;
  }

 private:
  std::vector<std::string> values_, infos_;
  std::string data_;
};

}  // namespace longspan
