#include "data/documents/text_file.h"

#include <algorithm>

#include "src/core/error.h"
#include "src/core/text.h"

namespace longspan {

namespace fs = std::filesystem;

TextFile::TextFile(const fs::path& path, const DocumentOptions& options)
    : path_(path),
      stream_(open_byte_stream(path, options.max_window_bytes)),
      max_bytes_(options.max_document_bytes),
      max_option_(options.max_document_option),
      block_(64 << 10, '\0') {}

std::string TextFile::rest() {
  std::string text;
  while (fill()) take(text, buffer_.size());
  return text;
}

std::optional<std::string> TextFile::line() {
  if (!fill()) return std::nullopt;
  std::string text;
  while (fill()) {
    size_t end = buffer_.find('\n');
    take(text, std::min(end, buffer_.size()));
    if (end == buffer_.npos) continue;
    buffer_.remove_prefix(1);
    break;
  }
  return text;
}

std::string_view TextFile::peek() {
  fill();
  return buffer_;
}

bool TextFile::fill() {
  if (buffer_.empty()) buffer_ = {block_.data(), stream_->read(block_.data(), block_.size())};
  return !buffer_.empty();
}

void TextFile::take(std::string& text, size_t size) {
  if (static_cast<int64_t>(text.size() + size) > max_bytes_) {
    const std::string next_step =
        max_option_ ? fmt::format("raise {} if memory holds it several times", max_option_)
                    : std::string("one to be cut into several");
    fail(ExitCode::kData,
         "{}: a document is larger than {} once decompressed: a compression bomb, or {}",
         path_.string(), human_bytes(max_bytes_), next_step);
  }
  text += buffer_.substr(0, size);
  buffer_.remove_prefix(size);
}

}  // namespace longspan
