#include "tools/bench/operator_profile.h"

#include <ATen/record_function.h>
#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <map>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace longspan {

namespace {

double thread_seconds() {
  timespec time;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

/// "torch::autograd::CppNode<longspan::(anonymous namespace)::SwiGlu>" -> "SwiGlu (backward)".
std::string short_name(const at::RecordFunction& function) {
  std::string name = function.name();
  if (function.scope() != at::RecordScope::BACKWARD_FUNCTION) return name;
  if (name.ends_with(">")) {
    const size_t last = name.rfind("::");
    name = name.substr(last == name.npos ? 0 : last + 2);
    name.pop_back();
  }
  return name + " (backward)";
}

}  // namespace

struct OperatorProfile::Times {
  struct Call {
    double start = 0, inner_seconds = 0;  // of the calls inside it
  };
  std::vector<Call> calls{{thread_seconds()}};  // the first is the program itself
  std::map<std::string, double> seconds{};
  at::CallbackHandle handle = 0;

  // LibTorch calls plain functions.
  static thread_local Times* current;
  static std::unique_ptr<at::ObserverContext> begin(const at::RecordFunction&) {
    current->calls.push_back({thread_seconds()});
    return nullptr;
  }
  static void end(const at::RecordFunction& function, at::ObserverContext*) {
    const Call call = current->calls.back();
    const double seconds = thread_seconds() - call.start;
    current->calls.pop_back();
    current->calls.back().inner_seconds += seconds;
    current->seconds[short_name(function)] += seconds - call.inner_seconds;
  }
};

thread_local OperatorProfile::Times* OperatorProfile::Times::current = nullptr;

OperatorProfile::OperatorProfile() : times_(std::make_unique<Times>()) {
  if (Times::current) throw std::logic_error("one profile a thread at a time");
  Times::current = times_.get();
  times_->handle = at::addThreadLocalCallback(
      at::RecordFunctionCallback(&Times::begin, &Times::end)
          .scopes({at::RecordScope::FUNCTION, at::RecordScope::BACKWARD_FUNCTION}));
}

OperatorProfile::~OperatorProfile() {
  at::removeCallback(times_->handle);
  Times::current = nullptr;
}

Table OperatorProfile::table() const {
  const Times::Call& program = times_->calls.front();
  const double total = thread_seconds() - program.start;
  std::vector<std::pair<double, std::string>> parts = {
      {total - program.inner_seconds, "outside of operators"}};
  double small = 0;
  for (const auto& [name, seconds] : times_->seconds) {
    if (seconds < 0.01 * total) {
      small += seconds;
    } else {
      parts.emplace_back(seconds, name);
    }
  }
  std::sort(parts.rbegin(), parts.rend());
  parts.emplace_back(small, "all others");
  Table table{fmt::format("CPU time of the main thread, {:.1f} s", total), {"operator", "%"}};
  for (const auto& [seconds, name] : parts) {
    table.rows.push_back({name, fmt::format("{:.1f}", 100 * seconds / total)});
  }
  return table;
}

}  // namespace longspan
