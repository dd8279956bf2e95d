#include <c10/util/Exception.h>
#include <torch/headeronly/version.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <exception>
#include <new>
#include <span>

#include "src/core/error.h"
#include "src/core/log.h"
#include "src/core/text.h"
#include "src/core/version.h"
#include "src/nn/device.h"
#include "src/nn/float32_for_bf16.h"
#include "src/nn/page_allocator.h"
#include "tools/commands/commands.h"
#include "tools/support/arguments.h"

namespace longspan {
namespace {

void print_help(std::FILE* to) {
  fmt::print(to,
             "longspan extends the context of LLaMA-family language models.\n\n"
             "longspan COMMAND ...; each has -h with an example\n\n");
  for (const Command* command : commands()) {
    fmt::print(to, "  {:<16} {}\n", command->name, command->summary);
  }
}

const Command* find_command(std::string_view name) {
  for (const Command* command : commands()) {
    if (command->name == name) return command;
  }
  return nullptr;
}

int run(int argc, char** argv) {
  std::string_view name = argc > 1 ? argv[1] : "";
  if (name == "-h" || name == "--help" || name == "help") {
    print_help(stdout);
    return 0;
  }
  if (name == "--version") {
    fmt::print("longspan {}, LibTorch {}\n{}", version(), TORCH_VERSION, describe_devices());
    return 0;
  }
  if (const Command* command = find_command(name)) {
    auto arguments = parse_arguments(*command, argc - 1, argv + 1);
    return arguments ? command->run(*arguments) : 0;
  }
  print_help(stderr);
  if (name.empty()) return static_cast<int>(ExitCode::kUsage);
  std::vector<std::string> names;
  for (const Command* command : commands()) names.emplace_back(command->name);
  fail(ExitCode::kUsage, "'{}' is no command{}", name, did_you_mean(name, names));
}

int out_of_memory(std::string_view what, int argc, char** argv) {
  const Command* command = find_command(argc > 1 ? argv[1] : "");
  log_error(fmt::format("out of memory{}{}", what, command ? memory_advice(*command) : ""));
  return static_cast<int>(ExitCode::kOutOfMemory);
}

/// Model files are mapped into memory, and one that shrinks meanwhile has no other way to say so.
void on_bus_error(int) {
  constexpr std::string_view kMessage =
      "error: a file became shorter while it was read, or its disk failed; is another program "
      "writing it?\n";
  if (write(STDERR_FILENO, kMessage.data(), kMessage.size()) < 0) _exit(1);
  _exit(static_cast<int>(ExitCode::kModel));
}

}  // namespace
}  // namespace longspan

int main(int argc, char** argv) {
  using longspan::ExitCode;
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);  // then a write says that the file is too large
  std::signal(SIGBUS, longspan::on_bus_error);
  try {
    longspan::use_float32_for_bf16_products();
    longspan::use_page_allocator();
    const int code = longspan::run(argc, argv);
    if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) {
      longspan::fail(ExitCode::kFailure, "standard output: cannot write: {}", std::strerror(errno));
    }
    return code;
  } catch (const longspan::Error& e) {
    longspan::log_error(e.what());
    return static_cast<int>(e.code());
  } catch (const c10::OutOfMemoryError& e) {
    return longspan::out_of_memory(fmt::format(": {}", e.what_without_backtrace()), argc, argv);
  } catch (const std::bad_alloc&) {
    return longspan::out_of_memory("", argc, argv);
  } catch (const c10::Error& e) {
    // LibTorch's CPU allocator reports exhaustion as a plain c10::Error.
    std::string what = e.what_without_backtrace();
    if (what.find("not enough memory") != what.npos) {
      return longspan::out_of_memory(": " + what, argc, argv);
    }
    longspan::log_error("LibTorch: " + what);
    return static_cast<int>(ExitCode::kFailure);
  } catch (const std::exception& e) {
    longspan::log_error(e.what());
    return static_cast<int>(ExitCode::kFailure);
  }
}
