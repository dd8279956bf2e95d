#pragma once

#include <cstdlib>
#include <map>
#include <optional>
#include <string>

namespace longspan {

/// The environment without what concerns the hub, for one test.
class HubEnvironment {
 public:
  HubEnvironment() {
    for (const char* name :
         {"HF_ENDPOINT", "HF_TOKEN", "HF_TOKEN_PATH", "HF_HOME", "HF_HUB_OFFLINE",
          "TRANSFORMERS_OFFLINE", "http_proxy", "HTTP_PROXY"}) {
      const char* value = std::getenv(name);
      before_[name] = value ? std::optional<std::string>(value) : std::nullopt;
      unsetenv(name);
    }
  }
  ~HubEnvironment() {
    for (const auto& [name, value] : before_) {
      value ? setenv(name.c_str(), value->c_str(), 1) : unsetenv(name.c_str());
    }
  }
  HubEnvironment(const HubEnvironment&) = delete;
  HubEnvironment& operator=(const HubEnvironment&) = delete;

  void set(const std::string& name, const std::string& value) const {
    setenv(name.c_str(), value.c_str(), 1);
  }

 private:
  std::map<std::string, std::optional<std::string>> before_;
};

}  // namespace longspan
