#include "tools/support/help.h"

#include <fmt/format.h>

#include <algorithm>

#include "src/core/text.h"

namespace longspan {

namespace {

constexpr size_t kColumns = 100, kWidestSignature = 28;

using Entry = std::pair<std::string, std::string>;  // signature and help

/// Helps stand in one column; a signature that reaches into it has a line of its own.
std::string entries_text(const std::vector<Entry>& entries, size_t column) {
  std::string text;
  for (const auto& [signature, help] : entries) {
    std::string line = "  " + signature;
    for (const auto& part : wrapped(help, kColumns - column)) {
      if (line.size() + 2 > column) {
        text += line + "\n";
        line.clear();
      }
      text += fmt::format("{:<{}}{}\n", line, column, part);
      line.clear();
    }
  }
  return text;
}

size_t help_column(const std::vector<std::vector<Entry>>& lists) {
  size_t widest = 0;
  for (const auto& list : lists) {
    for (const auto& [signature, help] : list) {
      if (signature.size() <= kWidestSignature) widest = std::max(widest, signature.size());
    }
  }
  return 2 + widest + 2;
}

}  // namespace

std::vector<OptionGroup> groups_of(const Command& command) {
  std::vector<OptionGroup> groups;
  for (const auto& option : options_of(command)) {
    auto group = std::find_if(groups.begin(), groups.end(),
                              [&](const auto& g) { return g.heading == option.group; });
    if (group == groups.end()) group = groups.insert(group, {option.group, {}});
    group->options.push_back(option);
  }
  return groups;
}

std::string signature_of(const Option& option) {
  std::string signature;
  for (const auto& name : option.names()) {
    signature += fmt::format("{}--{}", signature.empty() ? "" : ", ", name);
  }
  if (option.is_switch()) return signature;
  if (!option.may_be_left_out()) return fmt::format("{} {}", signature, option.value);
  return fmt::format("{}[={}", signature, option.value.substr(1));
}

std::string explained(const Option& option) {
  std::string text(option.help);
  if (option.choices) {  // before a default that is said in words
    text.insert(std::min(text.find(" (default"), text.size()), ": " + join(option.choices(), ", "));
  }
  if (!option.by_default.empty()) text += fmt::format(" (default: {})", option.by_default);
  return text;
}

std::vector<std::string> wrapped(std::string_view text, size_t width) {
  std::vector<std::string> lines;
  for (const auto& paragraph : split(text, '\n')) {
    lines.emplace_back();
    for (const auto& word : split(paragraph, ' ')) {
      std::string& last = lines.back();
      if (!last.empty() && last.size() + 1 + word.size() > width) {
        lines.push_back(word);
      } else {
        last += (last.empty() ? "" : " ") + word;
      }
    }
  }
  return lines;
}

std::string help_text(const Command& command) {
  std::vector<std::string> headings{"Arguments"};
  std::vector<std::vector<Entry>> lists(1);
  for (const auto& argument : command.arguments) {
    lists[0].emplace_back(argument.value, explained(argument));
  }
  for (const auto& group : groups_of(command)) {
    headings.emplace_back(group.heading.empty() ? "Options" : group.heading);
    auto& list = lists.emplace_back();
    for (const auto& option : group.options) {
      list.emplace_back(signature_of(option), explained(option));
    }
  }
  headings.emplace_back();
  lists.push_back({{"-h, --help", "this help"}});

  std::string text = usage_of(command) + "\n\n";
  text += join(wrapped(command.description, kColumns), "\n") + "\n";
  for (size_t i = 0; i < lists.size(); ++i) {
    if (lists[i].empty()) continue;
    text += headings[i].empty() ? "\n" : fmt::format("\n{}:\n", headings[i]);
    text += entries_text(lists[i], help_column(lists));
  }
  return text + fmt::format("\nExample:\n{}\n", command.example);
}

}  // namespace longspan
