#include "checkpoints/gguf/gguf_header.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <set>

#include "checkpoints/tensor_names.h"
#include "src/core/error.h"
#include "src/core/utf8.h"

namespace longspan {

namespace {

constexpr uint32_t kMagic = 0x46554747;  // "GGUF"
constexpr uint64_t kLongestGgufName = 65535;
constexpr uint32_t kMostGgufDimensions = 4;
constexpr int kDeepestArray = 4;
// A file may have holes, so that even what it really holds costs its author nothing. The largest
// vocabularies in use take some 16 MB and 1,000,000 values.
constexpr int64_t kLargestGgufHeader = int64_t{1} << 28;
constexpr int64_t kMostValues = int64_t{1} << 24;  // an array's elements count twice

/// Walks through the header and never past the end of the file.
class Cursor {
 public:
  Cursor(const MappedFile& file, const std::string& place) : file_(file), place_(place) {}

  int64_t at() const { return at_; }
  uint64_t left() const {
    return static_cast<uint64_t>(std::min(file_.size(), kLargestGgufHeader) - at_);
  }

  const char* take(uint64_t bytes, const char* what) {
    if (bytes > left()) {
      fail(ExitCode::kModel,
           "{}: {} at byte {} takes {} bytes, {} are left; the file is truncated "
           "or damaged",
           place_, what, at_, bytes, left());
    }
    auto* begin = reinterpret_cast<const char*>(file_.data() + at_);
    at_ += static_cast<int64_t>(bytes);
    return begin;
  }

  template <class T>
  T number(const char* what) {
    T value;
    std::memcpy(&value, take(sizeof value, what), sizeof value);
    return value;
  }

  std::string text(const char* what) {
    auto length = number<uint64_t>(what);
    std::string text(take(length, what), length);
    if (valid_utf8_prefix(text) < text.size()) {  // nlohmann could not write it out again
      fail(ExitCode::kModel, "{}: {} before byte {} is not UTF-8", place_, what, at_);
    }
    return text;
  }

  std::string name(const char* what) {
    std::string name = text(what);
    if (name.empty() || name.size() > kLongestGgufName ||
        std::any_of(name.begin(), name.end(), is_control)) {
      fail(ExitCode::kModel, "{}: {} before byte {} has {} letters or unprintable ones", place_,
           what, at_, name.size());
    }
    return name;
  }

  Json value(uint32_t type, int depth) {
    count_values(1);
    switch (type) {
      case 0:
        return number<uint8_t>("a value");
      case 1:
        return number<int8_t>("a value");
      case 2:
        return number<uint16_t>("a value");
      case 3:
        return number<int16_t>("a value");
      case 4:
        return number<uint32_t>("a value");
      case 5:
        return number<int32_t>("a value");
      case 6:
        return shortest_double(number<float>("a value"));
      case 7:
        return number<uint8_t>("a value") != 0;
      case 8:
        return text("a text");
      case 9:
        return array(depth);
      case 10:
        return number<uint64_t>("a value");
      case 11:
        return number<int64_t>("a value");
      case 12:
        return number<double>("a value");
      default:
        fail(ExitCode::kModel, "{}: metadata before byte {} has the unknown type {}", place_, at_,
             type);
    }
  }

 private:
  /// 1e-05f becomes 1e-05, not 9.99999974e-06: what the author of the number wrote.
  static double shortest_double(float value) { return std::stod(fmt::format("{}", value)); }

  void count_values(int64_t count) {
    values_ += count;
    if (values_ > kMostValues) {
      fail(ExitCode::kModel, "{}: the metadata has more than {} values", place_, kMostValues);
    }
  }

  Json array(int depth) {
    auto type = number<uint32_t>("an array");
    auto count = number<uint64_t>("an array");
    if (depth >= kDeepestArray) fail(ExitCode::kModel, "{}: arrays nest too deep", place_);
    // Each element takes a byte at least; the check keeps a claimed count from costing time.
    if (count > left()) {
      fail(ExitCode::kModel, "{}: an array before byte {} claims {} elements, {} bytes are left",
           place_, at_, count, left());
    }
    count_values(static_cast<int64_t>(count));
    Json values = Json::array();
    for (uint64_t i = 0; i < count; ++i) values.push_back(value(type, depth + 1));
    return values;
  }

  const MappedFile& file_;
  const std::string& place_;
  int64_t at_ = 0;
  int64_t values_ = 0;
};

GgufTensor read_tensor(Cursor& cursor, const std::string& file) {
  GgufTensor tensor;
  tensor.name = cursor.name("a tensor's name");
  std::string place = fmt::format("{}: tensor '{}'", file, tensor.name);
  auto dimensions = cursor.number<uint32_t>("a tensor's shape");
  if (dimensions > kMostGgufDimensions) {
    fail(ExitCode::kModel, "{}: has {} dimensions, at most {} are allowed", place, dimensions,
         kMostGgufDimensions);
  }
  int64_t strided = sizeof(float);  // bytes with zero counted as one: PyTorch computes strides so
  bool empty = false;
  for (uint32_t i = 0; i < dimensions; ++i) {
    auto size = cursor.number<uint64_t>("a tensor's shape");
    if (size > uint64_t{INT64_MAX} ||
        __builtin_mul_overflow(strided, std::max<int64_t>(static_cast<int64_t>(size), 1),
                               &strided)) {
      fail(ExitCode::kModel, "{}: its shape overflows", place);
    }
    empty |= size == 0;
    tensor.shape.insert(tensor.shape.begin(), static_cast<int64_t>(size));
  }
  tensor.elements = empty ? 0 : strided / static_cast<int64_t>(sizeof(float));
  auto type = cursor.number<uint32_t>("a tensor's type");
  tensor.type = find_ggml_type(type);
  if (!tensor.type) {
    fail(ExitCode::kModel,
         "{}: ggml type {} cannot be read; expected F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, "
         "Q2_K to Q6_K, IQ4_NL, IQ4_XS, TQ1_0, TQ2_0 or MXFP4",
         place, type);
  }
  int64_t row = tensor.shape.empty() ? 1 : tensor.shape.back();
  if (row % tensor.type->block_elements != 0 ||
      __builtin_mul_overflow(tensor.elements / tensor.type->block_elements,
                             tensor.type->block_bytes, &tensor.bytes)) {
    fail(ExitCode::kModel, "{}: rows of {} do not fit {}'s blocks of {}", place, row,
         tensor.type->name, tensor.type->block_elements);
  }
  auto offset = cursor.number<uint64_t>("a tensor's offset");
  tensor.offset = static_cast<int64_t>(std::min(offset, uint64_t{INT64_MAX}));
  return tensor;
}

int64_t alignment_of(const std::map<std::string, Json>& metadata, const std::string& place) {
  auto found = metadata.find("general.alignment");
  if (found == metadata.end()) return 32;
  const Json& value = found->second;
  if (!value.is_number_unsigned() || !std::has_single_bit(value.get<uint64_t>()) ||
      value.get<uint64_t>() > (1u << 20)) {
    fail(ExitCode::kModel, "{}: general.alignment is {}; expected a power of two", place,
         value.dump());
  }
  return value.get<int64_t>();
}

/// Turns offsets into the data into offsets into the file; refuses what lies outside or overlaps.
void place_tensors(std::vector<GgufTensor>& tensors, int64_t data_begin, int64_t file_size,
                   int64_t alignment, const std::string& place) {
  int64_t data_bytes = file_size - data_begin;
  std::vector<const GgufTensor*> ordered;
  for (auto& tensor : tensors) {
    if (tensor.offset % alignment != 0) {
      fail(ExitCode::kModel, "{}: tensor '{}': offset {} is no multiple of {}", place, tensor.name,
           tensor.offset, alignment);
    }
    if (tensor.offset > data_bytes || tensor.bytes > data_bytes - tensor.offset) {
      fail(ExitCode::kModel,
           "{}: tensor '{}' ends behind the end of the file; it is truncated, download or copy it "
           "again",
           place, tensor.name);
    }
    tensor.offset += data_begin;
    if (tensor.bytes > 0) ordered.push_back(&tensor);
  }
  std::sort(ordered.begin(), ordered.end(),
            [](const auto* a, const auto* b) { return a->offset < b->offset; });
  for (size_t i = 1; i < ordered.size(); ++i) {
    if (ordered[i - 1]->offset + ordered[i - 1]->bytes > ordered[i]->offset) {
      fail(ExitCode::kModel, "{}: tensors '{}' and '{}' overlap", place, ordered[i - 1]->name,
           ordered[i]->name);
    }
  }
}

}  // namespace

GgufHeader read_gguf_header(const std::shared_ptr<const MappedFile>& file,
                            const std::string& place) {
  Cursor cursor(*file, place);
  if (cursor.left() < 4 || cursor.number<uint32_t>("the magic") != kMagic) {
    fail(ExitCode::kModel,
         "{}: is no GGUF file; a model is one, a folder with config.json, or a .safetensors, .bin "
         "or .pth beside it",
         place);
  }
  auto version = cursor.number<uint32_t>("the version");
  if (version != 2 && version != 3) {
    fail(ExitCode::kModel, "{}: GGUF version {} cannot be read; expected 2 or 3, little-endian",
         place, version);
  }
  auto tensor_count = cursor.number<uint64_t>("the counts");
  auto value_count = cursor.number<uint64_t>("the counts");
  GgufHeader header;
  for (uint64_t i = 0; i < value_count; ++i) {
    std::string key = cursor.name("a key");
    auto type = cursor.number<uint32_t>("a value's type");
    if (!header.metadata.emplace(key, cursor.value(type, 0)).second) {
      fail(ExitCode::kModel, "{}: key '{}' stands twice", place, key);
    }
  }
  std::set<std::string> names;
  for (uint64_t i = 0; i < tensor_count; ++i) {
    header.tensors.push_back(read_tensor(cursor, place));
    header.tensors.back().file = file;
    if (!names.insert(header.tensors.back().name).second) {
      fail(ExitCode::kModel, "{}: tensor '{}' stands twice", place, header.tensors.back().name);
    }
  }
  int64_t alignment = alignment_of(header.metadata, place);
  int64_t data_begin = (cursor.at() + alignment - 1) / alignment * alignment;
  place_tensors(header.tensors, std::min(data_begin, file->size()), file->size(), alignment, place);
  return header;
}

}  // namespace longspan
