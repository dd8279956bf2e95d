#include "checkpoints/torch/zip_archive.h"

#include <algorithm>
#include <cstring>

#include "src/core/error.h"

namespace longspan {

namespace {

constexpr size_t kEndBytes = 22, kLocatorBytes = 20, kEnd64Bytes = 56;
constexpr size_t kMemberBytes = 46, kLocalBytes = 30;
constexpr uint32_t kEndSignature = 0x06054b50, kLocatorSignature = 0x07064b50;
constexpr uint32_t kEnd64Signature = 0x06064b50, kMemberSignature = 0x02014b50;
constexpr uint32_t kLocalSignature = 0x04034b50;
constexpr uint16_t kZip64Extra = 1;

/// Little-endian fields of an archive; a read outside it throws.
class Bytes {
 public:
  Bytes(std::string_view all, const std::string& place) : all_(all), place_(place) {}

  std::string_view at(uint64_t offset, uint64_t count) const {
    if (offset > all_.size() || count > all_.size() - offset) damaged("is truncated");
    return all_.substr(offset, count);
  }
  uint64_t number(uint64_t offset, size_t count) const {
    uint64_t value = 0;
    std::memcpy(&value, at(offset, count).data(), count);
    return value;
  }
  size_t size() const { return all_.size(); }
  [[noreturn]] void damaged(std::string_view what) const {
    fail(ExitCode::kModel, "{}: the archive {}; download or copy it again", place_, what);
  }

 private:
  std::string_view all_;
  const std::string& place_;
};

struct Directory {
  uint64_t begin, members;
};

Directory find_directory(const Bytes& bytes) {
  constexpr size_t kLongestComment = 65535;
  if (bytes.size() < kEndBytes) bytes.damaged("is truncated");
  size_t last = bytes.size() - kEndBytes;
  size_t first = last - std::min(last, kLongestComment);
  for (size_t end = last + 1; end-- > first;) {
    if (bytes.number(end, 4) != kEndSignature) continue;
    Directory found{bytes.number(end + 16, 4), bytes.number(end + 10, 2)};
    bool is_64 = end >= kLocatorBytes && bytes.number(end - kLocatorBytes, 4) == kLocatorSignature;
    if (!is_64) return found;
    uint64_t end64 = bytes.number(end - kLocatorBytes + 8, 8);
    bytes.at(end64, kEnd64Bytes);
    if (bytes.number(end64, 4) != kEnd64Signature) bytes.damaged("has no ZIP64 directory");
    return {bytes.number(end64 + 48, 8), bytes.number(end64 + 32, 8)};
  }
  bytes.damaged("has no directory (is it truncated?)");
}

/// Sizes and offset of 0xFFFFFFFF stand in the ZIP64 extra field instead, in this order.
void read_zip64(const Bytes& bytes, uint64_t extra, uint64_t extra_size, uint64_t& size,
                uint64_t& stored, uint64_t& local) {
  uint64_t end = extra + extra_size;
  while (extra + 4 <= end) {
    uint64_t length = bytes.number(extra + 2, 2);
    if (bytes.number(extra, 2) == kZip64Extra) {
      uint64_t field = extra + 4;
      for (uint64_t* value : {&size, &stored, &local}) {
        if (*value != 0xFFFFFFFF) continue;
        if (field + 8 > extra + 4 + length) bytes.damaged("has a short ZIP64 field");
        *value = bytes.number(field, 8);
        field += 8;
      }
      return;
    }
    extra += 4 + length;
  }
}

/// The member whose local header is at `local`: its bytes stand behind name and extra field.
ZipMember locate(const Bytes& bytes, uint64_t local, uint64_t size) {
  bytes.at(local, kLocalBytes);
  if (bytes.number(local, 4) != kLocalSignature) bytes.damaged("lacks a member's header");
  uint64_t begin = local + kLocalBytes + bytes.number(local + 26, 2) + bytes.number(local + 28, 2);
  bytes.at(begin, size);
  return {static_cast<int64_t>(begin), static_cast<int64_t>(size)};
}

}  // namespace

std::map<std::string, ZipMember> read_zip_directory(std::string_view archive,
                                                    const std::string& place) {
  Bytes bytes(archive, place);
  std::map<std::string, ZipMember> members;
  auto [at, count] = find_directory(bytes);
  for (uint64_t i = 0; i < count; ++i) {
    bytes.at(at, kMemberBytes);
    if (bytes.number(at, 4) != kMemberSignature) bytes.damaged("has a damaged directory");
    uint64_t flags = bytes.number(at + 8, 2), method = bytes.number(at + 10, 2);
    uint64_t stored = bytes.number(at + 20, 4), size = bytes.number(at + 24, 4);
    uint64_t name_size = bytes.number(at + 28, 2), extra_size = bytes.number(at + 30, 2);
    uint64_t local = bytes.number(at + 42, 4);
    std::string name(bytes.at(at + kMemberBytes, name_size));
    bytes.at(at + kMemberBytes + name_size, extra_size);
    read_zip64(bytes, at + kMemberBytes + name_size, extra_size, size, stored, local);
    if (method != 0 || (flags & 1) != 0 || stored != size) {
      fail(ExitCode::kModel,
           "{}: '{}' is compressed or encrypted; expected a file as torch.save writes it", place,
           name);
    }
    if (!members.emplace(name, locate(bytes, local, size)).second) {
      fail(ExitCode::kModel, "{}: '{}' stands twice in the archive", place, name);
    }
    at += kMemberBytes + name_size + extra_size + bytes.number(at + 32, 2);
  }
  return members;
}

}  // namespace longspan
