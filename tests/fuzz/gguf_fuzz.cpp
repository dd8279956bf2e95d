#include "checkpoints/gguf/gguf.h"
#include "tests/fuzz/input_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace longspan;
  try {
    GgufReader reader(input_file("x.gguf", data, size));
    for (const auto& tensor : reader.tensors()) reader.tensor(tensor).clone();
  } catch (const Error&) {
  }
  return 0;
}
