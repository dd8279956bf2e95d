#include "data/documents/byte_stream.h"

#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <new>
#include <string>
#include <vector>

#include "src/core/error.h"
#include "src/core/text.h"

namespace longspan {

namespace {

constexpr size_t kInputBytes = 256 << 10;

class PlainStream : public ByteStream {
 public:
  explicit PlainStream(const std::filesystem::path& path)
      : path_(path.string()), file_(nullptr, &std::fclose) {
    // Looked at first: to open a pipe is to wait for its writer.
    std::error_code error;
    auto status = std::filesystem::status(path, error);
    if (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status)) {
      fail(ExitCode::kData, "{}: is no regular file", path_);
    }
    file_.reset(std::fopen(path.c_str(), "rb"));
    if (file_ == nullptr) fail(ExitCode::kData, "{}: cannot open: {}", path_, std::strerror(errno));
  }
  size_t read(char* bytes, size_t size) override {
    size_t count = std::fread(bytes, 1, size, file_.get());
    if (count < size && std::ferror(file_.get()) != 0) {
      fail(ExitCode::kData, "{}: cannot read: {}", path_, std::strerror(errno));
    }
    raw_bytes_ += static_cast<int64_t>(count);
    return count;
  }
  int64_t raw_bytes() const override { return raw_bytes_; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file_;
  int64_t raw_bytes_ = 0;
};

/// What gzip and Zstandard share: compressed input, and what to do when it runs out.
class CompressedStream : public ByteStream {
 public:
  explicit CompressedStream(const std::filesystem::path& path) : file_(path), input_(kInputBytes) {}
  size_t read(char* bytes, size_t size) override {
    if (size == 0) return 0;
    for (;;) {
      if (begin_ == end_) {
        begin_ = 0;
        end_ = file_.read(input_.data(), input_.size());
        ended_ = begin_ == end_;
      }
      if (between_parts_ && file_.raw_bytes() > 0) begin_ += padding_size();
      if (begin_ == end_ && between_parts_) {
        if (!ended_) continue;
        if (file_.raw_bytes() == 0) fail(ExitCode::kData, "{}: the file is empty", file_.path());
        return 0;
      }
      size_t written = 0;
      size_t consumed = decompress(bytes, size, written);
      begin_ += consumed;
      if (written > 0) return written;
      if (consumed == 0) {
        fail(ExitCode::kData, "{}: ends early, in the middle of its compressed data; copy it again",
             file_.path());
      }
    }
  }
  int64_t raw_bytes() const override { return file_.raw_bytes(); }

 protected:
  /// How much of input() is neither part of a member or frame nor the beginning of the next.
  virtual size_t padding_size() const { return 0; }
  /// Consumes input() into `bytes`, says how much it wrote and returns how much it consumed.
  virtual size_t decompress(char* bytes, size_t size, size_t& written) = 0;

  const char* input() const { return input_.data() + begin_; }
  size_t input_size() const { return end_ - begin_; }
  [[noreturn]] void corrupt(const char* reason) const {
    fail(ExitCode::kData, "{}: damaged compressed data near byte {}: {}", file_.path(),
         file_.raw_bytes(), reason);
  }
  [[noreturn]] void refuse_window(int64_t max_bytes) const {
    constexpr int64_t kMost = int64_t{2} << 30;  // see DocumentOptions
    fail(ExitCode::kData, "{}: looks back over more than {} of its text; {}it is damaged",
         file_.path(), human_bytes(max_bytes),
         max_bytes < kMost ? "allow as much memory as zstd took to write it (prepare --max-window, "
                             "at most 2GiB), or "
                           : "");
  }
  bool between_parts_ = true;  // a member or frame has ended and no other has begun

 private:
  PlainStream file_;
  std::vector<char> input_;
  size_t begin_ = 0, end_ = 0;
  bool ended_ = false;  // the file
};

class GzipStream : public CompressedStream {
 public:
  explicit GzipStream(const std::filesystem::path& path) : CompressedStream(path) {
    constexpr int kGzipOnly = 16;
    if (inflateInit2(&zlib_, MAX_WBITS + kGzipOnly) != Z_OK) throw std::bad_alloc();
  }
  ~GzipStream() override { inflateEnd(&zlib_); }

 private:
  size_t decompress(char* bytes, size_t size, size_t& written) override {
    constexpr size_t kMost = 1 << 30;
    if (between_parts_) inflateReset(&zlib_);
    between_parts_ = false;
    any_member_ = true;
    zlib_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(input()));
    zlib_.avail_in = static_cast<uInt>(input_size());
    zlib_.next_out = reinterpret_cast<Bytef*>(bytes);
    zlib_.avail_out = static_cast<uInt>(std::min(size, kMost));
    size_t room = zlib_.avail_out;
    int status = inflate(&zlib_, Z_NO_FLUSH);
    if (status == Z_STREAM_END) {
      between_parts_ = true;
    } else if (status != Z_OK && status != Z_BUF_ERROR) {
      corrupt(zlib_.msg != nullptr ? zlib_.msg : "inflate fails");
    }
    written = room - zlib_.avail_out;
    return input_size() - zlib_.avail_in;
  }
  /// Tapes and block devices fill their last block with zeros.
  size_t padding_size() const override {
    if (!any_member_) return 0;
    return static_cast<size_t>(
        std::find_if(input(), input() + input_size(), [](char c) { return c != 0; }) - input());
  }

  z_stream zlib_{};
  bool any_member_ = false;
};

class ZstdStream : public CompressedStream {
 public:
  ZstdStream(const std::filesystem::path& path, int64_t max_window_bytes)
      : CompressedStream(path),
        zstd_(ZSTD_createDStream(), &ZSTD_freeDStream),
        max_window_bytes_(max_window_bytes) {
    if (zstd_ == nullptr) throw std::bad_alloc();
    const ZSTD_bounds logs = ZSTD_dParam_getBounds(ZSTD_d_windowLogMax);
    const int largest = std::bit_width(static_cast<uint64_t>(max_window_bytes)) - 1;
    ZSTD_DCtx_setParameter(zstd_.get(), ZSTD_d_windowLogMax,
                           std::clamp(largest, logs.lowerBound, logs.upperBound));
  }

 private:
  size_t decompress(char* bytes, size_t size, size_t& written) override {
    ZSTD_inBuffer in{input(), input_size(), 0};
    ZSTD_outBuffer out{bytes, size, 0};
    size_t status = ZSTD_decompressStream(zstd_.get(), &out, &in);
    const ZSTD_ErrorCode error = ZSTD_getErrorCode(status);
    if (error == ZSTD_error_frameParameter_windowTooLarge) refuse_window(max_window_bytes_);
    if (error == ZSTD_error_memory_allocation) throw std::bad_alloc();
    if (ZSTD_isError(status)) corrupt(ZSTD_getErrorName(status));
    between_parts_ = status == 0;
    written = out.pos;
    return in.pos;
  }

  std::unique_ptr<ZSTD_DStream, size_t (*)(ZSTD_DStream*)> zstd_;
  int64_t max_window_bytes_;
};

std::unique_ptr<ByteStream> open_gzip(const std::filesystem::path& path, int64_t) {
  return std::make_unique<GzipStream>(path);
}

std::unique_ptr<ByteStream> open_zstd(const std::filesystem::path& path, int64_t max_window_bytes) {
  return std::make_unique<ZstdStream>(path, max_window_bytes);
}

constexpr Compression kCompressions[] = {
    {".gz", "gzip -dc", open_gzip},
    {".zst", "zstd -dc --long=31", open_zstd},
};

}  // namespace

std::span<const Compression> compressions() { return kCompressions; }

const Compression* find_compression(const std::filesystem::path& path) {
  const std::string ending = lower_case_ending(path);
  for (const auto& compression : kCompressions) {
    if (compression.ending == ending) return &compression;
  }
  return nullptr;
}

std::string lower_case_ending(const std::filesystem::path& path) {
  return lower_case(path.extension().string());
}

std::unique_ptr<ByteStream> open_byte_stream(const std::filesystem::path& path,
                                             int64_t max_window_bytes) {
  const Compression* compression = find_compression(path);
  if (compression == nullptr) return std::make_unique<PlainStream>(path);
  return compression->open(path, max_window_bytes);
}

}  // namespace longspan
