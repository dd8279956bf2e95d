#include "checkpoints/gguf/gguf.h"

#include <ATen/ops/equal.h>
#include <ATen/ops/tensor.h>
#include <gmock/gmock.h>

#include <cstring>

#include "tests/checkpoints/gguf/gguf_file.h"
#include "tests/support/places.h"

namespace longspan {
namespace {

using testing::HasSubstr;

std::string refused(const std::string& bytes) {
  TemporaryFolder folder;
  auto path = folder.write("x.gguf", bytes);
  return error_of([&] { GgufReader reader(path); });
}

TEST(Gguf, ReadsEveryKindOfValue) {
  TemporaryFolder folder;
  GgufFile file;
  file.value("u8", 0, bytes_of(uint8_t{200})).value("i8", 1, bytes_of(int8_t{-5}));
  file.value("u16", 2, bytes_of(uint16_t{65535})).value("i16", 3, bytes_of(int16_t{-300}));
  file.value("i32", 5, bytes_of(int32_t{-70000})).value("bool", 7, bytes_of(uint8_t{1}));
  file.value("u64", 10, bytes_of(UINT64_MAX)).value("i64", 11, bytes_of(INT64_MIN));
  file.value("f64", 12, bytes_of(0.1)).set("f32", 1e-5f).set("u32", 7u).set("text", "ä");
  file.set("texts", std::vector<std::string>{"a", ""}).set("numbers", std::vector<int32_t>{1, -2});
  GgufReader reader(folder.write("x.gguf", file.bytes()));
  Json expected = {{"bool", true},      {"f32", 1e-05},       {"f64", 0.1},   {"i16", -300},
                   {"i32", -70000},     {"i64", INT64_MIN},   {"i8", -5},     {"numbers", {1, -2}},
                   {"text", "ä"},       {"texts", {"a", ""}}, {"u16", 65535}, {"u32", 7},
                   {"u64", UINT64_MAX}, {"u8", 200}};
  EXPECT_EQ(Json(reader.metadata()), expected);
}

TEST(Gguf, GivesTensorsInPyTorchOrder) {
  TemporaryFolder folder;
  GgufFile file;
  file.tensor("a", {3, 2}, {1, 2, 3, 4, 5, 6}).tensor("b", {1}, {9});
  GgufReader reader(folder.write("x.gguf", file.bytes()));
  EXPECT_TRUE(at::equal(reader.tensor(*reader.find("a")),
                        at::tensor({1.f, 2.f, 3.f, 4.f, 5.f, 6.f}).view({2, 3})));
  EXPECT_EQ(reader.tensor(*reader.find("b")).item<float>(), 9);
  EXPECT_EQ(reader.find("c"), nullptr);
}

/// Part `number` of `count` as gguf-split writes it, with one tensor [1] that holds `number`.
GgufFile split_part(uint16_t number, uint16_t count, int32_t tensors) {
  GgufFile file;
  file.value("split.no", 2, bytes_of(number)).value("split.count", 2, bytes_of(count));
  file.value("split.tensors.count", 5, bytes_of(tensors));
  return file.tensor("t" + std::to_string(number), {1}, {float(number)});
}

TEST(Gguf, ReadsTheTensorsOfAllPartsOfASplitFile) {
  TemporaryFolder folder;
  auto first = folder.write("m-00001-of-00003.gguf", split_part(0, 3, 3).set("key", 7u).bytes());
  folder.write("m-00002-of-00003.gguf", split_part(1, 3, 3).bytes());
  folder.write("m-00003-of-00003.gguf", split_part(2, 3, 3).bytes());
  GgufReader reader(first);
  EXPECT_EQ(reader.integer("key"), 7);
  EXPECT_EQ(reader.files().size(), 3u);
  ASSERT_EQ(reader.tensors().size(), 3u);
  EXPECT_EQ(reader.tensor(*reader.find("t0")).item<float>(), 0);
  EXPECT_EQ(reader.tensor(*reader.find("t2")).item<float>(), 2);
}

TEST(Gguf, NamesWhatIsWrongWithASplitFile) {
  TemporaryFolder folder;
  auto first = folder.write("m-00001-of-00002.gguf", split_part(0, 2, 2).bytes());
  auto error = [](const std::string& path) { return error_of([&] { GgufReader reader(path); }); };
  EXPECT_THAT(error(first), HasSubstr("m-00002-of-00002.gguf: is missing"));
  auto second = folder.write("m-00002-of-00002.gguf", split_part(1, 2, 2).bytes());
  EXPECT_EQ(error(first), "no error");
  EXPECT_THAT(error(second), HasSubstr("is part 2 of 2; give the first"));
  folder.write("m-00002-of-00002.gguf", split_part(0, 2, 2).bytes());
  EXPECT_THAT(error(first), HasSubstr("it is of another model"));
  folder.write("m-00002-of-00002.gguf", split_part(1, 2, 2).tensor("t0", {1}, {5}).bytes());
  EXPECT_THAT(error(first), HasSubstr("'t0' is in an earlier part too"));
  folder.write("m-00002-of-00002.gguf", split_part(1, 2, 2).tensor("t9", {1}, {5}).bytes());
  EXPECT_THAT(error(first), HasSubstr("says 2 tensors, its 2 parts have 3"));
  auto renamed = folder.write("m.gguf", split_part(0, 2, 2).bytes());
  EXPECT_THAT(error(renamed), HasSubstr("does not end in -00001-of-00002.gguf"));
  auto beyond = GgufFile().set("split.count", 2u).value("split.no", 11, bytes_of(INT64_MAX));
  EXPECT_THAT(refused(beyond.bytes()), HasSubstr("expected less than split.count 2"));
}

Json golden_blocks() {
  return read_json_file(source_folder() / "tests/checkpoints/reference/gguf_blocks.json",
                        ExitCode::kFailure);
}

std::string from_hex(const std::string& hex) {
  std::string bytes;
  for (size_t i = 0; i < hex.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  }
  return bytes;
}

TEST(Gguf, DequantisesAsTheGgufPackageDoesBitForBit) {
  Json golden = golden_blocks();
  int checked = 0;
  for (uint32_t id = 0; id < 40; ++id) {
    const GgmlType* type = find_ggml_type(id);
    if (!type || !type->dequantize_block) continue;
    const Json& entry = golden.at(std::string(type->name));
    std::string blocks = from_hex(entry["blocks"]), expected = from_hex(entry["float32"]);
    std::vector<float> out(expected.size() / sizeof(float));
    ASSERT_EQ(static_cast<int64_t>(blocks.size()) / type->block_bytes * type->block_elements,
              static_cast<int64_t>(out.size()));
    dequantize(*type, reinterpret_cast<const std::byte*>(blocks.data()),
               static_cast<int64_t>(blocks.size()) / type->block_bytes, out.data());
    EXPECT_EQ(std::memcmp(out.data(), expected.data(), expected.size()), 0) << type->name;
    ++checked;
  }
  EXPECT_EQ(checked, 15);
}

TEST(Gguf, QuantisesAsLlamaCppDoesBitForBit) {
  Json golden = golden_blocks()["quantised"];
  std::string rows = from_hex(golden["float32"]);
  std::vector<float> x(rows.size() / sizeof(float));
  std::memcpy(x.data(), rows.data(), rows.size());
  int checked = 0;
  for (uint32_t id = 0; id < 40; ++id) {
    const GgmlType* type = find_ggml_type(id);
    if (!type || !type->quantize_block) continue;
    auto blocks = static_cast<int64_t>(x.size()) / type->block_elements;
    std::vector<std::byte> out(static_cast<size_t>(blocks * type->block_bytes));
    quantize(*type, x.data(), blocks, out.data());
    std::string expected = from_hex(golden.at(std::string(type->name)));
    ASSERT_EQ(out.size(), expected.size());
    EXPECT_EQ(std::memcmp(out.data(), expected.data(), out.size()), 0) << type->name;
    ++checked;
  }
  EXPECT_EQ(checked, 7);
}

TEST(Gguf, QuantisesValuesTooSmallForAHalfToNothing) {
  std::vector<float> x(256, 1e-40f), back(256);
  for (const char* name : {"Q4_0", "Q5_0", "Q5_1", "Q8_0", "Q4_K", "Q5_K", "Q6_K"}) {
    const GgmlType& type = *find_ggml_type(name);
    int64_t blocks = 256 / type.block_elements;
    std::vector<std::byte> out(static_cast<size_t>(blocks * type.block_bytes));
    quantize(type, x.data(), blocks, out.data());
    dequantize(type, out.data(), blocks, back.data());
    for (float value : back) EXPECT_EQ(value, 0) << name;
  }
}

TEST(Gguf, RefusesWhatIsNone) {
  EXPECT_THAT(refused("GGU"), HasSubstr("is no GGUF"));
  EXPECT_THAT(refused("PK\3\4 and more bytes than enough"), HasSubstr("is no GGUF"));
  GgufFile old;
  old.version = 1;
  EXPECT_THAT(refused(old.bytes()), HasSubstr("version 1 cannot be read"));
}

TEST(Gguf, RefusesEveryTruncation) {
  GgufFile file;
  file.set("general.architecture", "llama").set("list", std::vector<std::string>{"a", "b"});
  file.tensor("a", {3, 2}, {1, 2, 3, 4, 5, 6});
  std::string whole = file.bytes();
  size_t end_of_tensor = whole.size() - 8;  // padding behind it
  for (size_t size = 1; size < end_of_tensor; ++size) {
    EXPECT_NE(refused(whole.substr(0, size)), "no error") << size;
  }
  EXPECT_EQ(refused(whole.substr(0, end_of_tensor)), "no error");
}

TEST(Gguf, BelievesNoCountThatTheFileCannotHold) {
  GgufFile tensors, values, list;
  tensors.claimed_tensors = bytes_of(UINT64_MAX);
  values.claimed_values = bytes_of(UINT64_MAX);
  // What follows the counts is read as a name, and padding is none.
  EXPECT_THAT(refused(tensors.bytes()), HasSubstr("a tensor's name before byte 32"));
  EXPECT_THAT(refused(values.bytes()), HasSubstr("a key before byte 32"));
  list.value("list", 9, bytes_of(uint32_t{0}) + bytes_of(uint64_t{1} << 60));
  EXPECT_THAT(refused(list.bytes()), HasSubstr("claims"));
  EXPECT_THAT(refused(GgufFile().value("text", 8, bytes_of(UINT64_MAX - 3)).bytes()),
              HasSubstr("truncated"));
}

TEST(Gguf, RefusesValuesThatAreWrong) {
  EXPECT_THAT(refused(GgufFile().value("x", 13, "aaaaaaaa").bytes()), HasSubstr("unknown type 13"));
  EXPECT_THAT(refused(GgufFile().set("x", 1u).set("x", 1u).bytes()), HasSubstr("'x' stands twice"));
  EXPECT_THAT(refused(GgufFile().set("x", "\xff").bytes()), HasSubstr("not UTF-8"));
  EXPECT_THAT(refused(GgufFile().set("x", "\xc0\x80").bytes()), HasSubstr("not UTF-8"));
  EXPECT_THAT(refused(GgufFile().set("general.alignment", 0u).bytes()), HasSubstr("power of two"));
  EXPECT_THAT(refused(GgufFile().set("general.alignment", 24u).bytes()), HasSubstr("power of two"));
  std::string nested;
  for (int i = 0; i < 100; ++i) nested += bytes_of(uint32_t{9}) + bytes_of(uint64_t{1});
  EXPECT_THAT(refused(GgufFile().value("x", 9, nested).bytes()), HasSubstr("nest too deep"));
}

TEST(Gguf, RefusesTensorsThatAreWrong) {
  auto with = [](const std::vector<uint64_t>& dimensions, uint32_t type, uint64_t offset) {
    return refused(GgufFile().tensor_info("t", dimensions, type, offset).data("0123").bytes());
  };
  EXPECT_EQ(with({1}, 0, 0), "no error");
  EXPECT_THAT(with({uint64_t{1} << 62, 4}, 0, 0), HasSubstr("overflows"));
  EXPECT_THAT(with({uint64_t{1} << 62}, 0, 0), HasSubstr("overflows"));
  EXPECT_THAT(with({UINT64_MAX}, 0, 0), HasSubstr("overflows"));
  EXPECT_THAT(with({1, 1, 1, 1, 1}, 0, 0), HasSubstr("5 dimensions"));
  EXPECT_THAT(with({1}, 99, 0), HasSubstr("ggml type 99"));
  EXPECT_THAT(with({33}, 8, 0), HasSubstr("blocks of 32"));
  EXPECT_THAT(with({1}, 0, 1), HasSubstr("no multiple of 32"));
  EXPECT_THAT(with({1}, 0, 64), HasSubstr("behind the end"));
  EXPECT_THAT(with({1}, 0, UINT64_MAX - 31), HasSubstr("tensor 't'"));
  EXPECT_THAT(with({64}, 0, 0), HasSubstr("behind the end"));
  GgufFile twice, overlap;
  twice.tensor("t", {1}, {1}).tensor("t", {1}, {1});
  EXPECT_THAT(refused(twice.bytes()), HasSubstr("'t' stands twice"));
  overlap.tensor("a", {16}, std::vector<float>(16)).tensor_info("b", {1}, 0, 32);
  EXPECT_THAT(refused(overlap.bytes()), HasSubstr("overlap"));
}

}  // namespace
}  // namespace longspan
