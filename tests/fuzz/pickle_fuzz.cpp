#include <cstdlib>

#include "checkpoints/torch/torch_checkpoint.h"
#include "checkpoints/torch/unpickler.h"
#include "tests/fuzz/input_file.h"

/// A whole file of torch.save, and its pickle alone: mutations hardly leave an archive intact.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace longspan;
  try {
    unpickle_state_dict({reinterpret_cast<const char*>(data), size}, "x");
  } catch (const Error&) {
  }
  try {
    TorchCheckpoint checkpoint(input_file("x.bin", data, size));
    for (const auto& info : checkpoint.tensors()) {
      if (checkpoint.tensor(info.name).nbytes() > size) std::abort();  // beyond the file
    }
  } catch (const Error&) {
  }
  return 0;
}
