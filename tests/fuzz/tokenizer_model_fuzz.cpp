#include "checkpoints/sentencepiece/sentencepiece_model.h"
#include "checkpoints/sentencepiece/sentencepiece_tokenizer.h"
#include "data/tokenizers/tokenizer.h"
#include "src/core/error.h"

/// The first line is what lies beside the tokenizer.model, [tokenizer_config, special_tokens_map,
/// added_tokens]; the rest is the model.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace longspan;
  std::string_view text(reinterpret_cast<const char*>(data), size);
  const size_t line = std::min(text.find('\n'), size);
  try {
    auto model = read_sentencepiece_model(text.substr(std::min(line + 1, size)), "x");
    Json beside = parse_json(text.substr(0, line), "x", ExitCode::kModel);
    if (!beside.is_array() || beside.size() != 3) return 0;
    auto json = sentencepiece_tokenizer_json(model, {beside[0], beside[1], beside[2]}, "x");
    auto tokenizer = make_tokenizer(json, "x");
    for (const char* sample : {"", "ab a", "<s> A\u00e9\u4e2d 12\n\n</s>", "\xff\xe4\xb8"}) {
      tokenizer->decode(tokenizer->encode(sample));
    }
  } catch (const Error&) {
  } catch (const Json::exception&) {  // hf_tokenizer_json() makes an Error of it
  }
  return 0;
}
