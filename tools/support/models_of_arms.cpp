#include "tools/support/models_of_arms.h"

#include <algorithm>

namespace longspan {

std::map<std::string, std::string> models_of_arms(const Arguments& arguments,
                                                  const std::vector<NamedArm>& arms) {
  std::map<std::string, std::string> models;
  for (const auto& text : arguments.all("model-of-arm")) {
    const size_t equals = text.find('=');
    if (equals == text.npos || equals == 0 || equals + 1 == text.size()) {
      fail(ExitCode::kUsage,
           "--model-of-arm: '{}': expected ARM=MODEL, such as smaller_model=m.gguf", text);
    }
    const std::string label = text.substr(0, equals);
    if (std::ranges::find(arms, label, &NamedArm::label) == arms.end()) {
      fail(ExitCode::kUsage, "--model-of-arm: '{}' is not among the arms of --arm", label);
    }
    if (!models.emplace(label, text.substr(equals + 1)).second) {
      fail(ExitCode::kUsage, "--model-of-arm: '{}' has two models, expected one", label);
    }
  }
  return models;
}

ModelsOfArms open_models_of_arms(const Arguments& arguments, const Tokenizer& tokenizer,
                                 std::vector<NamedArm>& arms) {
  ModelsOfArms opened;
  for (const auto& [label, path] : models_of_arms(arguments, arms)) {
    OpenedModel& other = opened[label] = open_plain_model(arguments, path);
    if (open_tokenizer(other)->fingerprint() != tokenizer.fingerprint()) {
      fail(ExitCode::kUsage,
           "--model-of-arm {}: the tokenizer of {} is another one; items are cut by the tokens of "
           "the first model, choose a model of its family",
           label, path);
    }
    std::ranges::find(arms, label, &NamedArm::label)->model = other.model.get();
  }
  return opened;
}

}  // namespace longspan
