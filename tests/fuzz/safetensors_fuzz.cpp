#include <cstdlib>

#include "checkpoints/safetensors.h"
#include "tests/fuzz/input_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace longspan;
  try {
    SafetensorsReader reader(input_file("x.safetensors", data, size));
    size_t bytes = 0;
    for (const auto& info : reader.tensors()) bytes += reader.tensor(info.name).nbytes();
    if (bytes > size) std::abort();  // beyond the file, which the map's last page may hide
  } catch (const Error&) {
  }
  return 0;
}
