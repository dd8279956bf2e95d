#include "tools/support/man_page.h"

#include <fmt/format.h>

#include "src/core/text.h"
#include "src/core/version.h"
#include "tools/support/help.h"

namespace longspan {

namespace {

/// Text that troff prints as it is: no request, no escape, hyphens that can be copied.
std::string plain(std::string_view text) {
  std::string line = text.starts_with('.') || text.starts_with('\'') ? "\\&" : "";
  for (char c : text) {
    if (c == '\\') {
      line += "\\e";
    } else if (c == '-') {
      line += "\\-";
    } else {
      line += c;
    }
  }
  return line;
}

std::string line_of(std::string_view text) { return plain(text) + "\n"; }

std::string paragraphs(std::string_view text) {
  std::string lines;
  for (const auto& paragraph : split(text, '\n')) {
    lines += paragraph.empty() ? ".PP\n" : line_of(paragraph);
  }
  return lines;
}

std::string entry(std::string_view term, std::string_view explanation) {
  return ".TP\n.B " + line_of(term) + line_of(explanation);
}

std::string heading(std::string_view name, std::string_view summary) {
  return fmt::format(".TH \"{}\" 1 \"\" \"longspan {}\" \"longspan\"\n.SH NAME\n{}", name,
                     version(), line_of(fmt::format("{} - {}", name, summary)));
}

constexpr std::string_view kExitStatus =
    ".SH EXIT STATUS\n0 success, 1 failure at run time (verify, diff: they differ), 2 usage, 3 "
    "recipe, 4 data, 5 model or tokenizer, 6 out of memory, 7 non\\-finite loss, 8 checkpoint "
    "mismatch, 130 and 143 stopped by a signal after saving.\n";

}  // namespace

std::string man_page(const Command& command) {
  std::string page = heading(fmt::format("longspan-{}", command.name), command.summary);
  page += ".SH SYNOPSIS\n.B " + line_of(usage_of(command));
  page += ".SH DESCRIPTION\n" + paragraphs(command.description);
  if (!command.arguments.empty()) page += ".SH ARGUMENTS\n";
  for (const auto& argument : command.arguments) {
    page += entry(argument.value, explained(argument));
  }
  page += ".SH OPTIONS\n";
  for (const auto& group : groups_of(command)) {
    if (!group.heading.empty()) page += ".SS " + line_of(group.heading);
    for (const auto& option : group.options) {
      page += entry(signature_of(option), explained(option));
    }
  }
  page += entry("-h, --help", "this help");
  page += ".SH EXAMPLE\n.nf\n" + paragraphs(command.example) + ".fi\n";
  return page + std::string(kExitStatus) + ".SH SEE ALSO\n.BR longspan (1)\n";
}

std::string man_page(std::span<const Command* const> commands) {
  std::string page = heading("longspan", "extends the context of LLaMA-family language models");
  page += ".SH SYNOPSIS\n.B longspan COMMAND ...\n.SH COMMANDS\n";
  std::string also;
  for (const Command* command : commands) {
    page += entry(command->name, command->summary);
    also += fmt::format(".BR longspan\\-{} (1)\n", plain(command->name));
  }
  return page + std::string(kExitStatus) + ".SH SEE ALSO\n" + also;
}

}  // namespace longspan
