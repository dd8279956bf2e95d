#include "recipes/resume_identity.h"
#include "tests/fuzz/input_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace longspan;
  try {
    resume_identity(load_recipe(input_file("x.yaml", data, size), {}));
  } catch (const Error&) {
  }
  return 0;
}
