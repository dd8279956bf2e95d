#include "src/core/printable.h"
#include "src/core/text.h"
#include "tools/commands/commands.h"
#include "tools/support/inspect_rope.h"
#include "tools/support/path_facts.h"

namespace longspan {

namespace {

constexpr Option kInspectArguments[] = {
    {"path", "PATH", "", "what to look at"},
};
constexpr Option kInspectOptions[] = {
    {"json", "", "", "print JSON"},
    {"tensors", "", "", "list each tensor; of a run, its newest checkpoint's"},
};

/// A text of a file stays in its line and steers no terminal.
std::string one_line(const std::string& text) { return printable_value(text, text.size()); }

std::string shown(const std::string& key, const Json& value) {
  if (value.is_string()) return one_line(value.get<std::string>());
  if (!value.is_number_integer()) return one_line(json_line(value));
  if (key.ends_with("bytes")) return human_bytes(value.get<double>());
  bool count = key == "parameters" || key == "tokens" || key == "documents";
  return count ? human_count(value.get<int64_t>()) : value.dump();
}

void print_text(const Json& facts, int indent) {
  for (const auto& [key, value] : facts.items()) {
    bool nested = value.is_object() && value.size() > 3;
    if (nested) {
      fmt::print("{:{}}{}\n", "", indent, one_line(key));
      print_text(value, indent + 2);
    } else {
      fmt::print("{:{}}{:<{}} {}\n", "", indent, one_line(key), 32 - indent, shown(key, value));
    }
  }
}

void print_tensors(const Json& tensors) {
  for (const auto& tensor : tensors) {
    fmt::print("{:<5} {:<16} {}\n", tensor["dtype"].get<std::string>(), tensor["shape"].dump(),
               tensor["name"].get<std::string>());
  }
}

int run_inspect(const Arguments& arguments) {
  if (arguments.given("rope")) return inspect_rope(arguments);
  for (const char* option : {"length", "svg", "on-scaled"}) {
    if (arguments.given(option)) {
      fail(ExitCode::kUsage, "longspan inspect: --{} goes with --rope", option);
    }
  }
  Json facts = path_facts(arguments["path"], arguments.given("tensors"));
  if (arguments.given("tensors") && !facts.contains("tensors")) {
    fail(ExitCode::kUsage, "{}: is a {}, which has no tensors to list", arguments["path"],
         facts["kind"].get<std::string>());
  }
  if (arguments.given("json")) {
    fmt::print("{}\n", json_text(facts));
  } else {
    Json tensors = facts.value("tensors", Json());
    facts.erase("tensors");
    print_text(facts, 0);
    print_tensors(tensors);
  }
  return 0;
}

}  // namespace

constinit const Command kInspectCommand{
    .name = "inspect",
    .summary = "say what a file or folder is",
    .description =
        "Say what a model folder, GGUF, safetensors file, adapter, checkpoint, run folder or token "
        "store is.",
    .example =
        "  longspan inspect models/smollm2 --json\n"
        "  longspan inspect models/smollm2 --rope='{rope_type: yarn, factor: 4}' --svg rope.svg",
    .arguments = kInspectArguments,
    .options = {kInspectOptions, kInspectRopeOptions},
    .run = run_inspect,
};

}  // namespace longspan
