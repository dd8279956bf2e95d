#include "tools/support/read_text.h"

#include "data/documents/encoding.h"
#include "src/core/log.h"
#include "src/core/text.h"
#include "src/core/utf8.h"

namespace longspan {

std::string repaired_text(std::string text, const std::string& place) {
  require_utf8(text, place, place);
  if (valid_utf8_prefix(text) == text.size()) return text;
  RepairedText repaired = repair_utf8(text);
  log_warning("{}: {} sequences are no UTF-8 and are taken as U+FFFD", place,
              human_count(repaired.replaced));
  return std::move(repaired.text);
}

std::string read_text(const std::filesystem::path& path) {
  constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
  std::string text = repaired_text(read_file(path, ExitCode::kData), path.string());
  if (text.starts_with(kByteOrderMark)) text.erase(0, kByteOrderMark.size());
  return text;
}

}  // namespace longspan
