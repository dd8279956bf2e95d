#include "data/tokenizers/tokenizer.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace longspan;
  try {
    std::string_view text(reinterpret_cast<const char*>(data), size);
    auto tokenizer = make_tokenizer(parse_json(text, "input", ExitCode::kModel), "input");
    tokenizer->fingerprint();
    for (const char* sample : {"", "ab a", "<s> A\u00e9\u4e2d 12, it's\n\n</s>", "\xff\xe4\xb8"}) {
      tokenizer->decode(tokenizer->encode(sample));
    }
  } catch (const Error&) {
  }
  return 0;
}
