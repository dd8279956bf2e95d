// PyTorch's files: torch_checkpoint, zip_archive and unpickler.
// The reference files are made by tests/checkpoints/reference/make_torch_checkpoint.py.

#include "checkpoints/torch/torch_checkpoint.h"

#include <ATen/ops/equal.h>
#include <gmock/gmock.h>

#include <fstream>

#include "checkpoints/torch/unpickler.h"
#include "checkpoints/torch/zip_archive.h"
#include "src/core/json.h"
#include "src/core/text.h"
#include "tests/checkpoints/temporary_folder.h"
#include "tests/support/places.h"

namespace longspan {
namespace {

using namespace std::string_literals;
using testing::ElementsAre;
using testing::HasSubstr;

namespace fs = std::filesystem;

const fs::path kTorchReference = source_folder() / "tests/checkpoints/reference";

std::vector<double> values_of(const at::Tensor& tensor) {
  at::Tensor flat = tensor.to(at::kDouble).flatten();
  return {flat.const_data_ptr<double>(), flat.const_data_ptr<double>() + flat.numel()};
}

class TorchFile : public testing::TestWithParam<const char*> {};

TEST_P(TorchFile, HoldsWhatPyTorchSaved) {
  TorchCheckpoint file(kTorchReference / GetParam());
  Json expected = read_json_file(kTorchReference / "state_dict.json", ExitCode::kModel)["tensors"];
  ASSERT_EQ(file.tensors().size(), expected.size());
  for (const auto& info : file.tensors()) {
    SCOPED_TRACE(info.name);
    at::Tensor tensor = file.tensor(info.name);
    const Json& entry = expected[info.name];
    EXPECT_EQ(values_of(tensor), entry["values"].get<std::vector<double>>());
    EXPECT_EQ(tensor.sizes().vec(), entry["shape"].get<std::vector<int64_t>>());
    EXPECT_EQ(info.shape, tensor.sizes().vec());
    EXPECT_EQ(info.bytes, static_cast<int64_t>(tensor.nbytes()));
    EXPECT_TRUE(tensor.is_contiguous());
  }
  EXPECT_EQ(file.tensor("bfloat16").scalar_type(), at::kBFloat16);
}

INSTANTIATE_TEST_SUITE_P(Every, TorchFile,
                         testing::Values("state_dict.bin", "state_dict_protocol4.bin",
                                         "state_dict_zip64.bin"),
                         [](const auto& file) {
                           std::string name = file.param;
                           return name.substr(0, name.find('.'));
                         });

TEST(TorchCheckpoint, OutlivesItsReader) {
  at::Tensor tensor = TorchCheckpoint(kTorchReference / "state_dict.bin").tensor("float32");
  EXPECT_EQ(tensor[3][5].item<double>(), 23.0 / 8 - 1);
}

TEST(TorchCheckpoint, RefusesWhatIsMoreThanWeights) {
  auto opened = [](const char* name) {
    return error_of([&] { TorchCheckpoint(kTorchReference / name); });
  };
  EXPECT_THAT(opened("pickled_module.bin"),
              HasSubstr("asks for 'torch.nn.modules.linear.Linear', which is no part"));
  EXPECT_THAT(opened("with_a_number.bin"), HasSubstr("something other than a tensor under 'step'"));
  EXPECT_THAT(opened("state_dict_legacy.bin"), HasSubstr("format of PyTorch before 1.6"));
  EXPECT_THAT(opened("state_dict.json"), HasSubstr("is no file of torch.save"));
}

TEST(TorchCheckpoint, NamesDamageWhereverTheFileIsCut) {
  std::string whole = read_file(kTorchReference / "state_dict.bin", ExitCode::kModel);
  TemporaryFolder folder;
  fs::path path = folder.path() / "cut.bin";
  for (size_t size = 1; size < whole.size(); size += 37) {
    std::ofstream(path, std::ios::binary) << whole.substr(0, size);
    EXPECT_NE(error_of([&] { TorchCheckpoint{path}; }), "no error") << size;
  }
}

TEST(TorchCheckpoint, SurvivesAByteChangedAnywhere) {
  std::string whole = read_file(kTorchReference / "state_dict_zip64.bin", ExitCode::kModel);
  TemporaryFolder folder;
  fs::path path = folder.path() / "changed.bin";
  for (size_t place = 0; place < whole.size(); place += 7) {
    std::string changed = whole;
    changed[place] = static_cast<char>(changed[place] ^ 0xff);
    std::ofstream(path, std::ios::binary) << changed;
    try {
      TorchCheckpoint file(path);
      for (const auto& info : file.tensors()) file.tensor(info.name);
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ExitCode::kModel) << place;
    }
  }
}

/// A pickle with one tensor "w" of the given offset, sizes and strides on 6 floats.
std::string pickle_of(int offset, const std::string& sizes, const std::string& strides) {
  return "\x80\x02}X\x01\0\0\0wctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storagectorch\n"
         "FloatStorage\nX\x01\0\0\0"
         "0X\x03\0\0\0cpuK\x06tQK"s +
         static_cast<char>(offset) + sizes + strides + "\x89)tRs."s;
}

std::string unpickled(const std::string& pickle) {
  return error_of([&] { unpickle_state_dict(pickle, "p"); });
}

TEST(Unpickler, ReadsAStridedWindow) {
  auto tensors = unpickle_state_dict(pickle_of(1, "K\x02K\x02\x86", "K\x03K\x01\x86"), "p");
  ASSERT_EQ(tensors.size(), 1u);
  EXPECT_EQ(tensors[0].name, "w");
  EXPECT_EQ(tensors[0].storage, "0");
  EXPECT_EQ(tensors[0].storage_offset, 1);
  EXPECT_EQ(tensors[0].storage_numel, 6);
  EXPECT_THAT(tensors[0].sizes, ElementsAre(2, 2));
  EXPECT_THAT(tensors[0].strides, ElementsAre(3, 1));
}

TEST(Unpickler, KeepsTensorsInsideTheirStorage) {
  EXPECT_EQ(unpickled(pickle_of(0, "K\x06\x85", "K\x01\x85")), "no error");
  EXPECT_THAT(unpickled(pickle_of(1, "K\x06\x85", "K\x01\x85")), HasSubstr("leaves its storage"));
  EXPECT_THAT(unpickled(pickle_of(0, "K\x02\x85", "K\x06\x85")), HasSubstr("leaves its storage"));
  EXPECT_THAT(unpickled(pickle_of(0, "K\xc8\x85", "K\0\x85"s)), HasSubstr("leaves its storage"));
  EXPECT_THAT(unpickled(pickle_of(0, "J\xff\xff\xff\xff\x85", "K\x01\x85")),
              HasSubstr("wrong shape"));
  std::string huge = "\x8a\x08\0\0\0\0\0\0\0\x7f"s;
  EXPECT_THAT(unpickled(pickle_of(0, huge + huge + "\x86", "K\x01K\x01\x86")),
              HasSubstr("leaves its storage"));
  EXPECT_THAT(unpickled(pickle_of(0, huge + huge + "K\0\x87"s, "K\x01K\x01K\x01\x87")),
              HasSubstr("leaves its storage"));
}

TEST(Unpickler, RunsNothing) {
  EXPECT_THAT(unpickled("\x80\x02"
                        "cos\nsystem\n(X\x02\0\0\0lstR."s),
              HasSubstr("asks for 'os.system', which is no part of plain weights"));
  EXPECT_THAT(unpickled("\x80\x04\x8c\x08"
                        "builtins\x8c\x04"
                        "eval\x93."),
              HasSubstr("'builtins.eval'"));
  EXPECT_THAT(unpickled("(S'ls'\nios\nsystem\n."), HasSubstr("opcode 0x53"));
}

TEST(Unpickler, RefusesANameThatSteersATerminal) {
  std::string pickle = pickle_of(0, "K\x06\x85", "K\x01\x85");
  pickle[pickle.find('w')] = '\x1b';
  EXPECT_THAT(unpickled(pickle), HasSubstr("a key with unprintable letters"));
}

TEST(Unpickler, RefusesWhatIsMalformed) {
  EXPECT_THAT(unpickled(""), HasSubstr("truncated"));
  EXPECT_THAT(unpickled("."), HasSubstr("empty stack"));
  EXPECT_THAT(unpickled("N."), HasSubstr("no state dict"));
  EXPECT_THAT(unpickled("(."), HasSubstr("empty stack"));
  EXPECT_THAT(unpickled("t."), HasSubstr("lacks a mark"));
  EXPECT_THAT(unpickled("}(Nu."), HasSubstr("key without a value"));
  EXPECT_THAT(unpickled("NNa."), HasSubstr("no container"));
  EXPECT_THAT(unpickled("h\x01."), HasSubstr("not stored"));
  EXPECT_THAT(unpickled("X\xff\xff\xff\xff"), HasSubstr("truncated"));
  EXPECT_THAT(unpickled("NQ."), HasSubstr("names no storage"));
  EXPECT_THAT(unpickled("NNR."), HasSubstr("calls nothing known"));
  EXPECT_THAT(unpickled("}NNs."), HasSubstr("no text"));
}

TEST(Unpickler, TakesAListInItselfAndAMillionLevels) {
  EXPECT_THAT(unpickled("]q\0h\0a."s), HasSubstr("no state dict"));
  EXPECT_THAT(unpickled(")" + std::string(1'000'000, '\x85') + "."), HasSubstr("no state dict"));
}

TEST(ZipDirectory, RefusesCompressedMembers) {
  std::string whole = read_file(kTorchReference / "state_dict.bin", ExitCode::kModel);
  whole[whole.find("PK\x01\x02") + 10] = 8;  // deflate
  EXPECT_THAT(error_of([&] { read_zip_directory(whole, "z"); }), HasSubstr("is compressed"));
}

}  // namespace
}  // namespace longspan
