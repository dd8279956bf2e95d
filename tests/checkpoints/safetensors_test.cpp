#include "checkpoints/safetensors.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/randn.h>
#include <gmock/gmock.h>
#include <sys/stat.h>

#include "checkpoints/safetensors_writer.h"
#include "src/core/text.h"
#include "tests/checkpoints/temporary_folder.h"

namespace longspan {
namespace {

using testing::HasSubstr;

/// What the reader says of a file with this header and this many bytes of data.
std::string refused(const std::string& header, size_t data_bytes) {
  TemporaryFolder folder;
  auto path = folder.write("x.safetensors",
                           bytes_of(uint64_t{header.size()}) + header + std::string(data_bytes, 0));
  return error_of([&] { SafetensorsReader reader(path); });
}

TEST(Safetensors, BringsBackWhatWasWritten) {
  TemporaryFolder folder;
  auto path = folder.path() / "x.safetensors";
  at::Tensor weight = at::randn({3, 5}), half = at::randn({7}).to(at::kBFloat16);
  at::Tensor ids = at::arange(4, at::kLong), scalar = at::randn({}), nothing = at::empty({0, 3});
  int64_t bytes = write_safetensors(
      path, {{"w", weight}, {"h", half}, {"i", ids}, {"s", scalar}, {"n", nothing}}, {{"k", "v"}});
  EXPECT_EQ(bytes, 60 + 14 + 32 + 4);

  SafetensorsReader reader(path);
  EXPECT_TRUE(at::equal(reader.tensor("w"), weight));
  EXPECT_TRUE(at::equal(reader.tensor("h"), half));
  EXPECT_TRUE(at::equal(reader.tensor("i"), ids));
  EXPECT_TRUE(at::equal(reader.tensor("s"), scalar));
  EXPECT_EQ(reader.tensor("n").sizes(), nothing.sizes());
  EXPECT_EQ(reader.metadata().at("format"), "pt");
  EXPECT_EQ(reader.metadata().at("k"), "v");
}

TEST(Safetensors, PadsTheHeaderToEightBytes) {
  TemporaryFolder folder;
  auto path = folder.path() / "x.safetensors";
  write_safetensors(path, {{"abc", at::randn({2})}});
  std::string text = read_file(path, ExitCode::kModel);
  uint64_t length;
  std::memcpy(&length, text.data(), 8);
  EXPECT_EQ(length % 8, 0);
  EXPECT_EQ(text.size(), 8 + length + 8);
}

TEST(Safetensors, WritesAViewByItsValues) {
  TemporaryFolder folder;
  auto path = folder.path() / "x.safetensors";
  at::Tensor transposed = at::randn({3, 4}).t();
  write_safetensors(path, {{"t", transposed}});
  EXPECT_TRUE(at::equal(SafetensorsReader(path).tensor("t"), transposed));
}

TEST(Safetensors, ATensorOutlivesItsReader) {
  TemporaryFolder folder;
  auto path = folder.path() / "x.safetensors";
  at::Tensor weight = at::randn({1000});
  write_safetensors(path, {{"w", weight}});
  at::Tensor read = SafetensorsReader(path).tensor("w");
  EXPECT_TRUE(at::equal(read, weight));
}

TEST(Safetensors, LeavesNoFileWhenATensorIsMissing) {
  TemporaryFolder folder;
  auto path = folder.path() / "x.safetensors";
  { SafetensorsWriter writer(path, {{"w", "F32", {2}, 0}}); }
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(Safetensors, RefusesFilesThatAreNone) {
  TemporaryFolder folder;
  auto reads = [&](const std::string& content) {
    auto path = folder.write("x.safetensors", content);
    return error_of([&] { SafetensorsReader reader(path); });
  };
  EXPECT_THAT(reads(""), HasSubstr("is empty"));
  EXPECT_THAT(reads("abc"), HasSubstr("is no safetensors file"));
  EXPECT_THAT(reads(bytes_of(uint64_t{1} << 63) + "{}"), HasSubstr("truncated"));
  EXPECT_THAT(reads(bytes_of(uint64_t{1000}) + "{}"), HasSubstr("truncated"));
  EXPECT_THAT(reads(bytes_of(uint64_t{4}) + "[{}]"), HasSubstr("does not begin with '{'"));
  EXPECT_THAT(error_of([&] { SafetensorsReader r(folder.path() / "none"); }),
              HasSubstr("cannot open"));
  EXPECT_THAT(error_of([&] { SafetensorsReader r(folder.path()); }), HasSubstr("no regular file"));
}

TEST(Safetensors, RefusesAHeaderThatIsNotWhatTheFormatSays) {
  EXPECT_THAT(refused(R"({"w":)", 4), HasSubstr("not valid JSON"));
  EXPECT_THAT(refused(R"({"w":7})", 4), HasSubstr("has no 'dtype'"));
  EXPECT_THAT(refused(R"({"w":{"dtype":"F99","shape":[1],"data_offsets":[0,4]}})", 4),
              HasSubstr("dtype \"F99\" is not supported"));
  EXPECT_THAT(refused(R"({"w":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}})", 4),
              HasSubstr("whole number"));
  EXPECT_THAT(refused(R"({"w":{"dtype":"F32","shape":[1],"data_offsets":[0]}})", 4),
              HasSubstr("right length"));
  EXPECT_THAT(refused(R"({"w":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})", 4),
              HasSubstr("takes 8 bytes, data_offsets give 4"));
  EXPECT_THAT(refused(R"({"w":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}})", 4),
              HasSubstr("data_offsets"));
  EXPECT_THAT(refused(R"({"__metadata__":{"a":1}})", 0), HasSubstr("__metadata__.a is no text"));
  EXPECT_THAT(refused(R"({"a":{"b":{"c":{"d":{"e":{}}}}}})", 0), HasSubstr("nests too deep"));
}

TEST(Safetensors, RefusesAShapeWhoseProductOverflows) {
  EXPECT_THAT(
      refused(R"({"w":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}})", 0),
      HasSubstr("overflows"));
}

TEST(Safetensors, RefusesAnEmptyShapeWhoseStridesOverflow) {
  EXPECT_THAT(
      refused(R"({"w":{"dtype":"F32","shape":[0,4294967296,4294967296],"data_offsets":[0,0]}})", 0),
      HasSubstr("overflows"));
}

TEST(Safetensors, RefusesNamesThatNoTensorHas) {
  auto named = [](const std::string& name) {
    return refused("{\"" + name + R"(":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})", 1);
  };
  EXPECT_THAT(named(R"(a\u0000b)"), HasSubstr("\"a\\u0000b\" is no name"));
  EXPECT_THAT(named(R"(\u001b[2J)"), HasSubstr("is no name"));
  EXPECT_THAT(named(std::string(70'000, 'a')), testing::SizeIs(testing::Lt(300)));
}

TEST(Safetensors, SaysAHugeValueInShort) {
  std::string text(1 << 20, 'x');
  EXPECT_THAT(refused(R"({"w":{"dtype":")" + text + R"(","shape":[1],"data_offsets":[0,4]}})", 4),
              testing::SizeIs(testing::Lt(300)));
}

TEST(Safetensors, RefusesAPipeWithoutWaitingForItsWriter) {
  TemporaryFolder folder;
  ASSERT_EQ(mkfifo(folder.path("x.safetensors").c_str(), 0600), 0);
  EXPECT_THAT(error_of([&] { SafetensorsReader r(folder.path("x.safetensors")); }),
              HasSubstr("no regular file"));
  EXPECT_THAT(error_of([&] { SafetensorsReader r("/dev/zero"); }), HasSubstr("no regular file"));
}

TEST(Safetensors, RefusesOverlapHoleAndWhatDoesNotFitTheFile) {
  const std::string a = R"("a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]})";
  auto b = [](int begin, int end) {
    return fmt::format(R"("b":{{"dtype":"U8","shape":[{}],"data_offsets":[{},{}]}})", end - begin,
                       begin, end);
  };
  EXPECT_THAT(refused("{" + a + "," + b(2, 6) + "}", 6), HasSubstr("overlaps"));
  EXPECT_THAT(refused("{" + a + "," + b(6, 8) + "}", 8), HasSubstr("a hole is before it"));
  EXPECT_THAT(refused("{" + a + "," + b(4, 8) + "}", 6), HasSubstr("it is truncated"));
  EXPECT_THAT(refused("{" + a + "," + b(4, 8) + "}", 9), HasSubstr("1 bytes behind"));
}

TEST(Safetensors, RefusesANameThatStandsTwice) {
  EXPECT_THAT(refused(R"({"w":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
                      R"("w":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})",
                      2),
              HasSubstr("'w' stands twice"));
}

TEST(Safetensors, NamesTheTensorThatIsNotThere) {
  TemporaryFolder folder;
  auto path = folder.path() / "x.safetensors";
  write_safetensors(path, {{"w", at::randn({2})}});
  EXPECT_THAT(error_of([&] { SafetensorsReader(path).tensor("v"); }), HasSubstr("no tensor 'v'"));
}

}  // namespace
}  // namespace longspan
