#include "data/documents/encoding.h"

#include <unicode/uchar.h>
#include <unicode/ucsdet.h>

#include <algorithm>
#include <memory>

#include "data/documents/byte_stream.h"
#include "src/core/error.h"
#include "src/core/utf8.h"

namespace longspan {

namespace fs = std::filesystem;

namespace {

constexpr size_t kSampleBytes = 64 << 10;  // what an encoding is guessed from

struct Utf8Counts {
  int64_t well_formed = 0, malformed = 0;  // sequences that are not ASCII
};

Utf8Counts count_utf8(std::string_view text) {
  Utf8Counts counts;
  for (size_t at = 0; at < text.size();) {
    if (static_cast<unsigned char>(text[at]) < 0x80) {
      ++at;
      continue;
    }
    bool malformed = false;
    next_code_point(text, at, &malformed);
    ++(malformed ? counts.malformed : counts.well_formed);
  }
  return counts;
}

bool mostly_malformed(std::string_view text) {
  constexpr int64_t kFewest = 8, kBytesOfOne = 500;
  const Utf8Counts counts = count_utf8(text);
  return counts.malformed >= kFewest && counts.malformed > counts.well_formed &&
         counts.malformed * kBytesOfOne >= static_cast<int64_t>(text.size());
}

std::string_view byte_order_mark_encoding(std::string_view bytes) {
  using namespace std::string_view_literals;
  if (bytes.starts_with("\xFF\xFE\0\0"sv) || bytes.starts_with("\0\0\xFE\xFF"sv)) return "UTF-32";
  if (bytes.starts_with("\xFF\xFE") || bytes.starts_with("\xFE\xFF")) return "UTF-16";
  return "";
}

/// Whether nearly all units of two bytes are characters, and some are spaces, line ends or the
/// punctuation of Chinese and Japanese. ICU knows UTF-16 by its mark or by Latin letters alone.
bool looks_like_utf16(std::string_view bytes, bool big_endian) {
  constexpr char16_t kCommon[] = u"\n \u3000\u3001\u3002\uFF0C";
  int64_t units = 0, odd = 0, common = 0;
  bool after_high = false;
  for (size_t at = 0; at + 1 < bytes.size(); at += 2, ++units) {
    auto first = static_cast<unsigned char>(bytes[at]);
    auto second = static_cast<unsigned char>(bytes[at + 1]);
    const auto unit = static_cast<char16_t>(big_endian ? first << 8 | second : second << 8 | first);
    const bool high = unit >> 10 == 0xD800 >> 10, low = unit >> 10 == 0xDC00 >> 10;
    const auto type = u_charType(unit);
    const bool control = type == U_CONTROL_CHAR && unit != '\n' && unit != '\r' && unit != '\t';
    odd += control || low != after_high || type == U_UNASSIGNED || type == U_PRIVATE_USE_CHAR;
    common += std::u16string_view(kCommon).find(unit) != std::u16string_view::npos;
    after_high = high;
  }
  return common > 0 && odd * 100 <= units;
}

bool has_iso_2022(std::string_view text) {
  return text.find("\x1b$") != text.npos && likely_encoding(text).starts_with("ISO-2022");
}

std::string quoted(const fs::path& path) {
  std::string text = "'";
  for (char c : path.string()) text += c == '\'' ? "'\\''" : std::string(1, c);
  return text + "'";
}

std::string iconv_line(const fs::path& file, const std::string& encoding) {
  const Compression* compression = find_compression(file);
  const fs::path plain = compression == nullptr ? file : file.parent_path() / file.stem();
  const fs::path out =
      plain.parent_path() / (plain.stem().string() + ".utf-8" + plain.extension().string());
  const std::string iconv = "iconv -f " + encoding + " -t UTF-8";
  return compression == nullptr
             ? fmt::format("{} {} > {}", iconv, quoted(file), quoted(out))
             : fmt::format("{} {} | {} > {}", compression->tool, quoted(file), iconv, quoted(out));
}

}  // namespace

std::string likely_encoding(std::string_view bytes) {
  constexpr size_t kEnoughBytes = 2048;
  bytes = bytes.substr(0, kSampleBytes);
  if (bytes.find_first_not_of('\0') == bytes.npos) return "";
  if (auto marked = byte_order_mark_encoding(bytes); !marked.empty()) return std::string(marked);
  for (bool big_endian : {false, true}) {
    if (looks_like_utf16(bytes, big_endian)) return big_endian ? "UTF-16BE" : "UTF-16LE";
  }
  // ICU is sure of Chinese and Japanese from some dozens of characters on; how frequent each is, it
  // asks alone.
  std::string sample(bytes);
  while (sample.size() < kEnoughBytes) sample += bytes;
  UErrorCode status = U_ZERO_ERROR;
  const std::unique_ptr<UCharsetDetector, decltype(&ucsdet_close)> detector(ucsdet_open(&status),
                                                                            &ucsdet_close);
  ucsdet_setText(detector.get(), sample.data(), static_cast<int32_t>(sample.size()), &status);
  int32_t count = 0;
  const UCharsetMatch** matches = ucsdet_detectAll(detector.get(), &count, &status);
  for (int32_t i = 0; U_SUCCESS(status) && i < count; ++i) {
    const std::string name = ucsdet_getName(matches[i], &status);
    if (U_SUCCESS(status) && name != "UTF-8" && !name.starts_with("IBM")) return name;
  }
  return "";
}

void require_utf8(std::string_view text, const std::string& place, const fs::path& file) {
  const auto nuls = std::count(text.begin(), text.end(), '\0');
  const bool has_nul = nuls > 0;
  // Latin letters in UTF-16 are half NULs, other ones no UTF-8.
  constexpr int64_t kBytesOfOneNul = 10;
  const bool may_be_wide =
      nuls * kBytesOfOneNul >= static_cast<int64_t>(text.size()) || mostly_malformed(text);
  const bool wide = has_nul && may_be_wide && likely_encoding(text).starts_with("UTF-");
  if (valid_utf8_prefix(text) == text.size() && !wide && !has_iso_2022(text)) return;
  const bool marked = !byte_order_mark_encoding(text).empty();
  if (has_nul && !wide && !marked && mostly_malformed(text)) {
    fail(ExitCode::kData, "{}: has NUL bytes and is not in UTF-8, so it is no text", place);
  }
  if (!wide && !marked && !has_iso_2022(text) && !mostly_malformed(text)) return;
  const std::string encoding = likely_encoding(text);
  if (encoding.empty()) {
    fail(ExitCode::kData, "{}: is not in UTF-8 and in no encoding that is known; give UTF-8 text",
         place);
  }
  fail(ExitCode::kData, "{}: is not in UTF-8 but most likely in {}; convert it: {}", place,
       encoding, iconv_line(file, encoding));
}

int64_t repair_text(std::string& text, const std::string& place, const fs::path& file) {
  if (text.starts_with("\xEF\xBB\xBF")) text.erase(0, 3);
  require_utf8(text, place, file);
  if (valid_utf8_prefix(text) == text.size()) return 0;
  auto repaired = repair_utf8(text);
  text = std::move(repaired.text);
  return repaired.replaced;
}

}  // namespace longspan
