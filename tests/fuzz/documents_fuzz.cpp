#include "data/documents/document_source.h"
#include "tests/fuzz/input_file.h"

/// The first byte chooses the ending, the rest is the file.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace longspan;
  constexpr const char* kNames[] = {"x.jsonl", "x.jsonl.gz", "x.jsonl.zst", "x.txt.gz",
                                    "x.txt.zst"};
  if (size == 0) return 0;
  try {
    auto path = input_file(kNames[data[0] % std::size(kNames)], data + 1, size - 1);
    auto source = open_documents({{path}}, {.max_document_bytes = 1 << 20});
    while (source->next()) continue;
  } catch (const Error&) {
  }
  return 0;
}
