#include "tools/support/command.h"

#include <fmt/format.h>

#include "src/core/text.h"

namespace longspan {

std::vector<std::string> Option::names() const { return split(name, ','); }

std::vector<Option> options_of(const Command& command) {
  std::vector<Option> all;
  for (const auto& list : command.options) all.insert(all.end(), list.begin(), list.end());
  return all;
}

std::string usage_of(const Command& command) {
  std::string usage = fmt::format("longspan {}", command.name);
  for (const auto& argument : command.arguments) usage += fmt::format(" {}", argument.value);
  bool more = false;
  for (const auto& option : options_of(command)) {
    if (option.group == kRequired) {
      usage += fmt::format(" --{} {}", option.names().front(), option.value);
    } else {
      more = true;
    }
  }
  return more ? usage + " [OPTION...]" : usage;
}

std::string memory_advice(const Command& command) {
  std::vector<std::string> advice;
  for (const auto& argument : command.arguments) {
    if (argument.name != "recipe") continue;
    advice = {"a shorter train.seq_len", "a smaller train.batch_size"};
  }
  for (const auto& option : options_of(command)) {
    if (option.name == "length" || option.name == "lengths") {
      advice.push_back(fmt::format("a shorter --{}", option.name));
    } else if (option.name == "quantization") {
      advice.emplace_back("--quantization nf4");
    }
  }
  return advice.empty() ? "" : "; try " + join(advice, " or ");
}

}  // namespace longspan
