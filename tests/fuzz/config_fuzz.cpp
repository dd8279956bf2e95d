#include "checkpoints/hf/hf_config.h"

/// config.json up to a model without weights: no size in it may cost what it claims.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace longspan;
  try {
    Json json = parse_json({reinterpret_cast<const char*>(data), size}, "x", ExitCode::kModel);
    ModelConfig config = read_hf_config(json, "x");
    write_hf_config(config, at::kBFloat16);
    config.rope_scaling->frequencies(config.rope_geometry(), config.max_position_embeddings);
    make_causal_lm(config);
  } catch (const Error&) {
  }
  return 0;
}
