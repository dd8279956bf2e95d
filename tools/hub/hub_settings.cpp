#include "tools/hub/hub_settings.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "checkpoints/hf/hub_cache.h"
#include "src/core/text.h"

namespace longspan {

namespace fs = std::filesystem;

namespace {

constexpr const char* kHub = "https://huggingface.co";

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

std::string endpoint() {
  std::string endpoint = variable("HF_ENDPOINT");
  while (endpoint.ends_with('/')) endpoint.pop_back();
  if (endpoint.empty()) return kHub;
  if (!endpoint.starts_with("https://") && !endpoint.starts_with("http://")) {
    fail(ExitCode::kUsage, "HF_ENDPOINT: '{}' is no address; expected https://...", endpoint);
  }
  return endpoint;
}

std::string token() {
  std::string token = variable("HF_TOKEN");
  if (token.empty()) {
    std::string path = variable("HF_TOKEN_PATH");
    fs::path file = path.empty() ? hugging_face_home() / "token" : fs::path(path);
    std::error_code status;
    if (fs::is_regular_file(file, status)) token = read_file(file, ExitCode::kFailure);
  }
  constexpr const char* kSpace = " \t\r\n";
  size_t first = token.find_first_not_of(kSpace);
  if (first == token.npos) return "";
  token = token.substr(first, token.find_last_not_of(kSpace) - first + 1);
  if (std::any_of(token.begin(), token.end(), [](char c) { return c <= ' ' || c > '~'; })) {
    fail(ExitCode::kUsage, "HF_TOKEN (or the token file): holds letters that no token has");
  }
  return token;
}

void refuse_offline() {
  for (const char* name : {"HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"}) {
    std::string value = lower_case(variable(name));
    if (value == "1" || value == "on" || value == "yes" || value == "true") {
      fail(ExitCode::kUsage, "{} is set: nothing is downloaded; unset it", name);
    }
  }
}

}  // namespace

HubSettings read_hub_settings() {
  refuse_offline();
  return {endpoint(), token()};
}

}  // namespace longspan
