#include "src/core/log.h"

#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <set>

#include "src/core/printable.h"

namespace longspan {

namespace {

spdlog::logger& logger() {
  static std::shared_ptr<spdlog::logger> instance = [] {
    auto mode = stderr_is_terminal() ? spdlog::color_mode::automatic : spdlog::color_mode::never;
    auto sink = std::make_shared<spdlog::sinks::stderr_color_sink_mt>(mode);
    sink->set_pattern("%^%v%$");
    auto made = std::make_shared<spdlog::logger>("longspan", sink);
    made->flush_on(spdlog::level::info);
    return made;
  }();
  return *instance;
}

std::atomic<bool> progress_shown = false;  // other threads log while one shows progress

void erase_progress() {
  if (progress_shown.exchange(false)) std::fputs("\r\033[K", stderr);
}

}  // namespace

bool stderr_is_terminal() {
  return isatty(STDERR_FILENO) != 0 && std::getenv("NO_COLOR") == nullptr;
}

void log_info(const std::string& message) {
  erase_progress();
  logger().info(printable_message(message));
}

void log_warning(const std::string& message) {
  erase_progress();
  logger().warn("warning: " + printable_message(message));
}

void log_warning_once(const std::string& message) {
  static std::mutex mutex;
  static std::set<std::string> logged;
  {
    std::lock_guard lock(mutex);
    if (!logged.insert(message).second) return;
  }
  log_warning(message);
}

void log_error(const std::string& message) {
  erase_progress();
  logger().error("error: " + printable_message(message));
}

void log_to_file(const std::filesystem::path& path) {
  auto sink = std::make_shared<spdlog::sinks::basic_file_sink_mt>(path.string());
  sink->set_pattern("%Y-%m-%d %H:%M:%S %v");
  logger().sinks().push_back(sink);
}

void show_progress(const std::string& line) {
  if (!stderr_is_terminal()) return;
  erase_progress();
  if (line.empty()) return;
  std::fputs(printable_value(line).c_str(), stderr);
  std::fflush(stderr);
  progress_shown = true;
}

}  // namespace longspan
