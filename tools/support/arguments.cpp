#include "tools/support/arguments.h"

#include <fmt/format.h>

#include <cstdio>
#include <cxxopts.hpp>
#include <memory>
#include <set>
#include <stdexcept>

#include "src/core/error.h"
#include "tools/support/help.h"

namespace longspan {

namespace {

[[noreturn]] void refuse_command_line(const Command& command, const std::string& what) {
  fail(ExitCode::kUsage, "longspan {0}: {1}; see longspan {0} -h", command.name, what);
}

/// Of a list cxxopts takes more than one word. Its values are read from arguments(), since it
/// splits them at the commas that a file name may hold.
std::shared_ptr<cxxopts::Value> cxxopts_value(const Option& option) {
  if (option.is_switch()) return cxxopts::value<bool>();
  if (option.repeats()) return cxxopts::value<std::vector<std::string>>();
  return cxxopts::value<std::string>();
}

cxxopts::Options cxxopts_options(const Command& command) {
  cxxopts::Options options(std::string(command.name));
  std::set<std::string_view> added;
  for (const auto& option : options_of(command)) {
    auto value = cxxopts_value(option);
    if (!option.is_switch() && option.may_be_left_out()) value = value->implicit_value("");
    options.add_options()(std::string(option.name), "", value);
    added.insert(option.name);
  }
  std::vector<std::string> places;
  for (const auto& argument : command.arguments) {
    places.push_back(argument.names().front());
    if (added.contains(argument.name)) continue;  // eval's text is both
    options.add_options()(std::string(argument.name), "", cxxopts_value(argument));
  }
  options.parse_positional(places);
  options.add_options()("h,help", "");
  return options;
}

/// The first word that cxxopts knows no option for; "" where it does not come to it.
std::string unknown_option(const Command& command, int argc, char** argv) {
  auto options = cxxopts_options(command);
  options.allow_unrecognised_options();
  try {
    const auto parsed = options.parse(argc, argv);
    for (const auto& word : parsed.unmatched()) {
      if (word.starts_with('-')) return word.substr(0, word.find('='));
    }
  } catch (const cxxopts::exceptions::exception&) {  // another fault beside it
  }
  return "";
}

[[noreturn]] void refuse_option(const Command& command, const std::string& word) {
  std::vector<std::string> known{"--help"};
  for (const auto& option : options_of(command)) {
    for (const auto& name : option.names()) known.push_back("--" + name);
  }
  refuse_command_line(command,
                      fmt::format("there is no option {}{}", word, did_you_mean(word, known)));
}

/// `--force=false` would count as given.
void require_no_value(const Command& command, const std::string& name, const std::string& value) {
  for (const auto& option : options_of(command)) {
    if (!option.is_switch() || option.names().front() != name || value == "true") continue;
    refuse_command_line(
        command, fmt::format("--{} takes no value, and has '{}'; leave it out", name, value));
  }
}

void require_all(const Command& command, const Arguments& arguments) {
  for (const auto& argument : command.arguments) {
    if (argument.may_be_left_out() || arguments.given(argument.names().front())) continue;
    refuse_command_line(command, fmt::format("{} is missing", argument.value));
  }
  for (const auto& option : options_of(command)) {
    const std::string name = option.names().front();
    if (option.group != kRequired || arguments.given(name)) continue;
    refuse_command_line(command, fmt::format("--{} {} is missing", name, option.value));
  }
}

}  // namespace

const Arguments::Values& Arguments::values(std::string_view name) const {
  auto found = values_.find(name);
  if (found == values_.end()) {
    throw std::logic_error(fmt::format("the command has no option {}", name));
  }
  return found->second;
}

const std::string& Arguments::operator[](std::string_view name) const {
  const Values& found = values(name);
  return found.given.empty() ? found.by_default : found.given.back();
}

const std::vector<std::string>& Arguments::all(std::string_view name) const {
  return values(name).given;
}

std::optional<Arguments> parse_arguments(const Command& command, int argc, char** argv) {
  Arguments arguments;
  for (const auto& argument : command.arguments) arguments.values_[argument.names().front()] = {};
  for (const auto& option : options_of(command)) {
    arguments.values_[option.names().front()].by_default = option.by_default;
  }
  try {
    auto parsed = cxxopts_options(command).parse(argc, argv);
    if (parsed.count("help")) {
      fmt::print("{}", help_text(command));
      return std::nullopt;
    }
    if (!parsed.unmatched().empty()) {
      refuse_command_line(command,
                          fmt::format("'{}' is one argument too many", parsed.unmatched().front()));
    }
    for (const auto& argument : parsed.arguments()) {
      require_no_value(command, argument.key(), argument.value());
      arguments.values_.at(argument.key()).given.push_back(argument.value());
    }
  } catch (const cxxopts::exceptions::no_such_option& e) {
    const std::string word = unknown_option(command, argc, argv);
    if (word.empty()) refuse_command_line(command, e.what());
    refuse_option(command, word);
  } catch (const cxxopts::exceptions::exception& e) {
    refuse_command_line(command, e.what());
  }
  require_all(command, arguments);
  return arguments;
}

}  // namespace longspan
