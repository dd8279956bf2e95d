#pragma once

#include <fmt/format.h>

#include <filesystem>
#include <string>

namespace longspan {

/// People read stderr; results go to stdout. Colour only on a terminal and without NO_COLOR.
void log_info(const std::string& message);
void log_warning(const std::string& message);
/// A message that this process has not logged yet: what is wrong with a file that is read again.
void log_warning_once(const std::string& message);
void log_error(const std::string& message);

/// From now on each message is also appended, with its time, to this file.
void log_to_file(const std::filesystem::path& path);

/// True when stderr is a terminal and NO_COLOR is unset: then a line may be redrawn.
bool stderr_is_terminal();

/// Draws `line` over the last one on a terminal; elsewhere prints nothing. An empty line erases it.
void show_progress(const std::string& line);

}  // namespace longspan
