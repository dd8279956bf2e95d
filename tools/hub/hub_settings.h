#pragma once

#include <string>

namespace longspan {

/// What the environment says of the Hugging Face hub, as huggingface_hub reads it.
struct HubSettings {
  std::string endpoint;  // HF_ENDPOINT without a slash at its end, else https://huggingface.co
  std::string token;     // HF_TOKEN, else the content of HF_TOKEN_PATH or HF_HOME/token, else ""
};

/// Throws Error(kUsage) where HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE forbids to download, for an
/// endpoint that is no address, and for a token with letters that no token has.
HubSettings read_hub_settings();

}  // namespace longspan
