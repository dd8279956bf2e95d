#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace longspan {

/// A choice of tasks, lengths and keys under one name; what the command line says goes before it.
struct EvalSuite {
  std::string_view name;
  std::string_view tasks;       // that need no text
  std::string_view text_tasks;  // and those that do
  std::string_view lengths;
  std::vector<std::string_view> settings;  // as --set takes them
};

/// "quick", "standard", "extended", "full"; the time grows about tenfold from one to the next.
std::vector<std::string> eval_suites();
/// Throws Error(kUsage) that names the nearest for another name.
const EvalSuite& find_eval_suite(const std::string& name);

}  // namespace longspan
