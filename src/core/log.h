#pragma once

#include <filesystem>
#include <string>

#include "src/core/message.h"

namespace longspan {

/// People read stderr; results go to stdout. Colour only on a terminal and without NO_COLOR.
void log_info(const std::string& message);
void log_warning(const std::string& message);
/// A message that this process has not logged yet: what is wrong with a file that is read again.
void log_warning_once(const std::string& message);
void log_error(const std::string& message);

/// The same of a message that format_message() makes.
template <class Arg, class... Args>
void log_info(fmt::format_string<Arg, Args...> format, const Arg& arg, const Args&... args) {
  log_info(format_message(format, arg, args...));
}
template <class Arg, class... Args>
void log_warning(fmt::format_string<Arg, Args...> format, const Arg& arg, const Args&... args) {
  log_warning(format_message(format, arg, args...));
}
template <class Arg, class... Args>
void log_warning_once(fmt::format_string<Arg, Args...> format, const Arg& arg,
                      const Args&... args) {
  log_warning_once(format_message(format, arg, args...));
}

/// From now on each message is also appended, with its time, to this file.
void log_to_file(const std::filesystem::path& path);

/// True when stderr is a terminal and NO_COLOR is unset: then a line may be redrawn.
bool stderr_is_terminal();

/// Draws `line` over the last one on a terminal; elsewhere prints nothing. An empty line erases it.
void show_progress(const std::string& line);

}  // namespace longspan
