#include "data/documents/encoding.h"

#include <gmock/gmock.h>
#include <iconv.h>

#include "tests/data/temporary_folder.h"

namespace longspan {
namespace {

using testing::AllOf;
using testing::HasSubstr;

/// By the C library; "" when the text has no form in `to` or is none of `from`.
std::string converted(const std::string& text, const std::string& from, const std::string& to) {
  iconv_t converter = iconv_open(to.c_str(), from.c_str());
  if (converter == iconv_t(-1)) return "";
  std::string bytes(4 * text.size() + 16, '\0');
  char* in = const_cast<char*>(text.data());
  char* out = bytes.data();
  size_t in_left = text.size(), out_left = bytes.size();
  const bool whole = iconv(converter, &in, &in_left, &out, &out_left) != size_t(-1);
  iconv(converter, nullptr, nullptr, &out, &out_left);
  iconv_close(converter);
  bytes.resize(bytes.size() - out_left);
  return whole ? bytes : "";
}

std::string thirty_times(const std::string& text) {
  std::string whole;
  for (int i = 0; i < 30; ++i) whole += text;
  return whole;
}

std::string encoding_complaint(const std::string& text,
                               const std::filesystem::path& file = "books/a.txt") {
  std::string what;
  EXPECT_EQ(exit_code_of([&] { require_utf8(text, file.string(), file); }, &what), 4);
  return what;
}

struct EncodingCase {
  const char* encoding;
  std::string text;
};

const std::string kChinese = "第一章　合同的订立\n甲方与乙方经协商一致，签订本合同。\n";
const std::string kTraditional = "第一章 民法總則\n民事，法律所未規定者，依習慣。\n";
const std::string kJapanese =
    "吾輩は猫である。名前はまだ無い。\nどこで生れたかとんと見当がつかぬ。\n";
const std::string kKorean = "모든 국민은 법 앞에 평등하다.\n누구든지 차별을 받지 아니한다.\n";
const std::string kGerman =
    "Es war einmal ein Müller, der hatte eine schöne Tochter. Über die Brücke fährt der König, und "
    "er trägt große Schätze.\n";
const std::string kRussian = "Все счастливые семьи похожи друг на друга.\nВсё смешалось в доме.\n";

std::vector<EncodingCase> encoding_cases() {
  return {{"GB18030", kChinese},      {"BIG5", kTraditional}, {"SHIFT_JIS", kJapanese},
          {"EUC-JP", kJapanese},      {"EUC-KR", kKorean},    {"ISO-8859-1", kGerman},
          {"WINDOWS-1251", kRussian}, {"KOI8-R", kRussian},   {"UTF-16", kChinese},
          {"UTF-16LE", kChinese},     {"UTF-16BE", kChinese}, {"UTF-16LE", kGerman},
          {"UTF-16BE", kRussian},     {"UTF-16LE", kKorean},  {"UTF-32", kGerman},
          {"ISO-2022-JP", kJapanese}};
}

TEST(Encoding, IsNamedSoThatIconvGivesTheTextBack) {
  for (const auto& [encoding, once] : encoding_cases()) {
    const std::string text = thirty_times(once), bytes = converted(text, "UTF-8", encoding);
    ASSERT_NE(bytes, "") << encoding;
    EXPECT_EQ(converted(bytes, likely_encoding(bytes), "UTF-8"), text)
        << encoding << " was taken for " << likely_encoding(bytes);
    EXPECT_THAT(encoding_complaint(bytes),
                AllOf(HasSubstr("books/a.txt: is not in UTF-8 but most likely in"),
                      HasSubstr("iconv -f " + likely_encoding(bytes))));
  }
}

TEST(Encoding, OfAFewCharactersIsKnownToo) {
  EXPECT_EQ(likely_encoding(converted("第一章 合同的订立\n", "UTF-8", "GB18030")), "GB18030");
  EXPECT_EQ(likely_encoding(converted("第一章 民法總則\n", "UTF-8", "BIG5")), "Big5");
  EXPECT_EQ(likely_encoding(converted("吾輩は猫である。\n", "UTF-8", "SHIFT_JIS")), "Shift_JIS");
  EXPECT_EQ(likely_encoding(std::string(100, '\0')), "");
}

TEST(Encoding, OfTheConversionIsOneThatTheShellTakes) {
  const std::string bytes = converted(thirty_times(kChinese), "UTF-8", "GB18030");
  EXPECT_THAT(encoding_complaint(bytes),
              HasSubstr("iconv -f GB18030 -t UTF-8 'books/a.txt' > 'books/a.utf-8.txt'"));
  EXPECT_THAT(encoding_complaint(bytes, "it's.jsonl.gz"),
              HasSubstr("gzip -dc 'it'\\''s.jsonl.gz' | iconv -f GB18030 -t UTF-8 > "
                        "'it'\\''s.utf-8.jsonl'"));
}

TEST(Encoding, IsUtf8InAnyLanguageAndWithAFewBadBytes) {
  for (const std::string& text :
       {std::string(), std::string("plain"), kChinese, kTraditional, kJapanese, kKorean, kGerman,
        kRussian, std::string("a\0b", 3), std::string("\x1b[31mred\x1b[0m"),
        "\xEF\xBB\xBF" + kChinese,
        thirty_times(kChinese) + "\xff\xfe\xff\xfe\xff\xfe\xff\xfe\xff\xfe", std::string("caf\xE9"),
        std::string(100'000, 'x') + "\xA3 \xA3 \xA3 \xA3 \xA3 \xA3 \xA3 \xA3 \xA3"}) {
    EXPECT_NO_THROW(require_utf8(text, "a.txt", "a.txt")) << text.substr(0, 40);
  }
}

TEST(Encoding, OfUtf8OfManyScriptsWithANulIsNotTakenForUtf16) {
  // As pairs of bytes nearly all of it is Han, and some of the full stop of Chinese.
  std::string text = thirty_times("e3e3\xE4\xB8\x80 0\x02\xE5\xAD\x97");
  text += '\0';
  EXPECT_NO_THROW(require_utf8(text, "a.txt", "a.txt"));
}

TEST(Encoding, RepairCountsAndDropsAByteOrderMark) {
  std::string text =
      "\xEF\xBB\xBF"
      "caf\xE9 \xE4\xB8";
  EXPECT_EQ(repair_text(text, "a.txt", "a.txt"), 2);
  EXPECT_EQ(text, "caf\xEF\xBF\xBD \xEF\xBF\xBD");
}

}  // namespace
}  // namespace longspan
