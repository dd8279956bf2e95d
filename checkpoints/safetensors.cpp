#include "checkpoints/safetensors.h"

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>
#include <set>

#include "checkpoints/dtype.h"
#include "checkpoints/mapped_file.h"
#include "checkpoints/tensor_names.h"
#include "src/core/error.h"

namespace longspan {

namespace {

constexpr uint64_t kLargestHeader = 100'000'000;  // the reference reader's limit
constexpr size_t kLongestName = 65535;
constexpr int kLengthBytes = 8;

// Sorted keys, unlike our Json: a hostile header may hold a million, and there lookup is linear.
using Header = nlohmann::json;

struct Entry {
  TensorInfo info;
  at::ScalarType dtype;
  int64_t begin = 0;  // from the first byte behind the header
};

/// nlohmann keeps the first of two equal keys in silence; here they are an error.
Header parse_header(std::string_view text, const std::string& place) {
  std::vector<std::set<std::string>> keys;
  auto check = [&](int depth, Header::parse_event_t event, Header& parsed) {
    if (depth > 4) fail(ExitCode::kModel, "{}: the header nests too deep", place);
    if (event == Header::parse_event_t::object_start) keys.emplace_back();
    if (event == Header::parse_event_t::object_end) keys.pop_back();
    if (event == Header::parse_event_t::key &&
        !keys.back().insert(parsed.get_ref<const std::string&>()).second) {
      fail(ExitCode::kModel, "{}: '{}' stands twice in the header", place,
           parsed.get_ref<const std::string&>());
    }
    return true;
  };
  try {
    return Header::parse(text.begin(), text.end(), check);
  } catch (const nlohmann::json::exception& e) {
    fail(ExitCode::kModel, "{}: the header is not valid JSON: {}", place, e.what());
  }
}

/// The beginning of a value, which may be as large as the header.
std::string shown(const Header& value) {
  std::string text = value.dump();
  return text.size() <= 80 ? text : text.substr(0, 77) + "...";
}

int64_t whole_number(const Header& value, const std::string& place) {
  if (!value.is_number_unsigned() || value.get<uint64_t>() > uint64_t{INT64_MAX}) {
    fail(ExitCode::kModel, "{}: expected a whole number, got {}", place, shown(value));
  }
  return value.get<int64_t>();
}

const Header& field(const Header& entry, const char* key, const std::string& place) {
  if (!entry.is_object() || !entry.contains(key)) {
    fail(ExitCode::kModel, "{}: has no '{}'", place, key);
  }
  return entry[key];
}

void check_name(const std::string& name, const std::string& file) {
  if (name.size() > kLongestName || std::any_of(name.begin(), name.end(), is_control)) {
    fail(ExitCode::kModel, "{}: {} is no name of a tensor; expected at most {} printable bytes",
         file, shown(name), kLongestName);
  }
}

/// The bytes of a tensor. Zero counts as one in the check: PyTorch computes strides so.
int64_t bytes_of(const std::vector<int64_t>& shape, at::ScalarType dtype,
                 const std::string& place) {
  auto strided = static_cast<int64_t>(c10::elementSize(dtype));
  bool empty = false;
  for (int64_t size : shape) {
    empty = empty || size == 0;
    if (__builtin_mul_overflow(strided, std::max<int64_t>(size, 1), &strided)) {
      fail(ExitCode::kModel, "{}: shape {} overflows", place, shape_text(shape));
    }
  }
  return empty ? 0 : strided;
}

Entry read_entry(const std::string& name, const Header& json, const std::string& file) {
  check_name(name, file);
  std::string place = fmt::format("{}: tensor '{}'", file, name);
  Entry entry;
  entry.info.name = name;
  const Header& dtype = field(json, "dtype", place);
  auto known = dtype.is_string() ? from_safetensors_dtype(dtype.get<std::string>()) : std::nullopt;
  if (!known) fail(ExitCode::kModel, "{}: dtype {} is not supported", place, shown(dtype));
  entry.dtype = *known;
  entry.info.dtype = dtype.get<std::string>();

  const Header& shape = field(json, "shape", place);
  const Header& offsets = field(json, "data_offsets", place);
  if (!shape.is_array() || shape.size() > 64 || !offsets.is_array() || offsets.size() != 2) {
    fail(ExitCode::kModel, "{}: shape or data_offsets is no list of the right length", place);
  }
  for (const auto& size : shape) entry.info.shape.push_back(whole_number(size, place));
  entry.info.bytes = bytes_of(entry.info.shape, entry.dtype, place);
  entry.begin = whole_number(offsets[0], place);
  int64_t end = whole_number(offsets[1], place);
  if (end < entry.begin || end - entry.begin != entry.info.bytes) {
    fail(ExitCode::kModel, "{}: shape {} of {} takes {} bytes, data_offsets give {}", place,
         shape.dump(), entry.info.dtype, entry.info.bytes, end - entry.begin);
  }
  return entry;
}

std::map<std::string, std::string> read_metadata(const Header& json, const std::string& file) {
  if (!json.is_object()) fail(ExitCode::kModel, "{}: __metadata__ is no map", file);
  std::map<std::string, std::string> metadata;
  for (const auto& [key, value] : json.items()) {
    if (!value.is_string()) {
      fail(ExitCode::kModel, "{}: __metadata__.{} is no text", file, key);
    }
    metadata[key] = value.get<std::string>();
  }
  return metadata;
}

/// The format wants the bytes covered once, without a hole.
void check_coverage(const std::vector<Entry>& entries, int64_t data_bytes,
                    const std::string& file) {
  int64_t covered = 0;
  for (const auto& entry : entries) {
    if (entry.begin != covered) {
      fail(ExitCode::kModel, "{}: tensor '{}' begins at byte {} of the data, expected {} ({})",
           file, entry.info.name, entry.begin, covered,
           entry.begin < covered ? "it overlaps the one before" : "a hole is before it");
    }
    covered += entry.info.bytes;
    if (covered > data_bytes) {
      fail(ExitCode::kModel,
           "{}: tensor '{}' ends at byte {} of the data, the file has {}; it is "
           "truncated, download or copy it again",
           file, entry.info.name, covered, data_bytes);
    }
  }
  if (covered != data_bytes) {
    fail(ExitCode::kModel, "{}: {} bytes behind the last tensor", file, data_bytes - covered);
  }
}

}  // namespace

struct SafetensorsReader::Map {
  std::string path;
  std::shared_ptr<const MappedFile> file;
  int64_t data_begin = 0;
  std::map<std::string, Entry> entries;
  std::vector<TensorInfo> tensors;
  std::map<std::string, std::string> metadata;
};

SafetensorsReader::SafetensorsReader(const std::filesystem::path& path)
    : map_(std::make_shared<Map>()) {
  map_->path = path.string();
  map_->file = std::make_shared<MappedFile>(path);
  int64_t size = map_->file->size();
  uint64_t length = 0;
  if (size >= kLengthBytes) std::memcpy(&length, map_->file->data(), kLengthBytes);
  if (size < kLengthBytes || length < 2 || length > kLargestHeader ||
      length > static_cast<uint64_t>(size - kLengthBytes)) {
    fail(ExitCode::kModel, "{}: is no safetensors file or is truncated: {} bytes, header of {}",
         map_->path, size, length);
  }
  auto* text = reinterpret_cast<const char*>(map_->file->data() + kLengthBytes);
  if (*text != '{') fail(ExitCode::kModel, "{}: the header does not begin with '{{'", map_->path);
  Header header = parse_header({text, length}, map_->path);

  std::vector<Entry> entries;
  for (const auto& [name, json] : header.items()) {
    if (name == "__metadata__") {
      map_->metadata = read_metadata(json, map_->path);
    } else {
      entries.push_back(read_entry(name, json, map_->path));
    }
  }
  // An empty tensor shares its offset with its successor and comes first.
  std::stable_sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::pair(a.begin, a.info.bytes) < std::pair(b.begin, b.info.bytes);
  });
  map_->data_begin = kLengthBytes + static_cast<int64_t>(length);
  check_coverage(entries, size - map_->data_begin, map_->path);
  for (auto& entry : entries) {
    map_->tensors.push_back(entry.info);
    map_->entries.emplace(entry.info.name, std::move(entry));
  }
}

SafetensorsReader::~SafetensorsReader() = default;

const std::vector<TensorInfo>& SafetensorsReader::tensors() const { return map_->tensors; }

const std::map<std::string, std::string>& SafetensorsReader::metadata() const {
  return map_->metadata;
}

bool SafetensorsReader::contains(const std::string& name) const {
  return map_->entries.contains(name);
}

at::Tensor SafetensorsReader::tensor(const std::string& name) const {
  auto found = map_->entries.find(name);
  if (found == map_->entries.end()) {
    fail(ExitCode::kModel, "{}: has no tensor '{}'", map_->path, name);
  }
  const Entry& entry = found->second;
  return view_of(map_->file, map_->data_begin + entry.begin, entry.info.shape, entry.dtype);
}

}  // namespace longspan
