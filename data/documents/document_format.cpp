#include "data/documents/document_format.h"

#include <utility>
#include <vector>

#include "data/documents/byte_stream.h"
#include "src/core/text.h"

namespace longspan {

namespace fs = std::filesystem;

namespace {

constexpr DocumentFormat kFormats[] = {
    {".txt", open_plain_text},
    {".md", open_plain_text},
    {".tex", open_plain_text},
    {".jsonl", open_json_lines},
};

std::string either(std::vector<std::string> endings) {
  std::string last = std::move(endings.back());
  endings.pop_back();
  return join(endings, ", ") + " or " + last;
}

}  // namespace

const DocumentFormat* find_document_format(const fs::path& path) {
  const std::string ending =
      lower_case_ending(find_compression(path) == nullptr ? path : path.stem());
  for (const auto& format : kFormats) {
    if (format.ending == ending) return &format;
  }
  return nullptr;
}

std::string document_endings() {
  std::vector<std::string> endings, compressed;
  for (const auto& format : kFormats) endings.emplace_back(format.ending);
  for (const auto& compression : compressions()) compressed.emplace_back(compression.ending);
  return fmt::format("{}, each also with {} behind it", either(endings), either(compressed));
}

}  // namespace longspan
