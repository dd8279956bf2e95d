#include "tools/hub/hub_settings.h"

#include <gmock/gmock.h>

#include "tests/support/errors.h"
#include "tests/support/temporary_folder.h"
#include "tests/tools/hub/environment.h"

namespace longspan {
namespace {

using testing::HasSubstr;

class HubSettingsRead : public testing::Test {
 protected:
  HubSettingsRead() { environment_.set("HF_HOME", folder_.path().string()); }
  std::string refused() {
    return error_of([] { read_hub_settings(); }, ExitCode::kUsage);
  }

  HubEnvironment environment_;
  TemporaryFolder folder_;
};

TEST_F(HubSettingsRead, AreTheHubWithoutATokenWhereNothingIsSet) {
  EXPECT_EQ(read_hub_settings().endpoint, "https://huggingface.co");
  EXPECT_EQ(read_hub_settings().token, "");
}

TEST_F(HubSettingsRead, TakeAnotherEndpoint) {
  environment_.set("HF_ENDPOINT", "http://localhost:8000//");
  EXPECT_EQ(read_hub_settings().endpoint, "http://localhost:8000");
  environment_.set("HF_ENDPOINT", "hub.example");
  EXPECT_EQ(refused(), "HF_ENDPOINT: 'hub.example' is no address; expected https://...");
}

TEST_F(HubSettingsRead, TakeTheTokenOfTheVariableBeforeThatOfAFile) {
  folder_.write("token", "hf_of_home\n");
  EXPECT_EQ(read_hub_settings().token, "hf_of_home");
  environment_.set("HF_TOKEN_PATH", folder_.write("other", " hf_of_path \n"));
  EXPECT_EQ(read_hub_settings().token, "hf_of_path");
  environment_.set("HF_TOKEN", "hf_of_variable");
  EXPECT_EQ(read_hub_settings().token, "hf_of_variable");
}

TEST_F(HubSettingsRead, RefuseATokenThatNoHeaderCanHold) {
  environment_.set("HF_TOKEN", "hf_a\r\nX-Other: b");
  EXPECT_THAT(refused(), HasSubstr("HF_TOKEN"));
}

TEST_F(HubSettingsRead, RefuseWhereDownloadsAreSwitchedOff) {
  for (const char* name : {"HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"}) {
    for (const char* value : {"1", "on", "Yes", "TRUE"}) {
      environment_.set(name, value);
      EXPECT_EQ(refused(), std::string(name) + " is set: nothing is downloaded; unset it");
    }
    environment_.set(name, "0");
    EXPECT_EQ(refused(), "no error");
  }
}

}  // namespace
}  // namespace longspan
