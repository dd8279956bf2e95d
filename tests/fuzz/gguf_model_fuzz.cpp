#include "checkpoints/gguf/gguf_source.h"
#include "checkpoints/hf/hf_config.h"
#include "tests/fuzz/input_file.h"

/// A GGUF as a model: config, tokenizer and tensors as a Hugging Face folder has them.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace longspan;
  try {
    GgufSource source(input_file("x.gguf", data, size));
    read_hf_config(source);
    source.side_files();
    for (const auto& info : source.tensors()) source.tensor(info.name);
  } catch (const Error&) {
  }
  return 0;
}
