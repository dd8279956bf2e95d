#pragma once

#include <ATen/record_function.h>

#include <atomic>
#include <set>
#include <string>

namespace longspan {

/// How many matrix products `run` asks of LibTorch.
template <class Run>
int64_t products_of(const Run& run) {
  static std::atomic<int64_t> count;
  count = 0;
  const auto counted = [](const at::RecordFunction& call) -> std::unique_ptr<at::ObserverContext> {
    static const std::set<std::string> products{"aten::mm", "aten::addmm", "aten::addmm_",
                                                "aten::bmm", "aten::baddbmm"};
    count += static_cast<int64_t>(products.count(call.name()));
    return nullptr;
  };
  const at::CallbackHandle handle = at::addGlobalCallback(
      at::RecordFunctionCallback(counted).scopes({at::RecordScope::FUNCTION}));
  run();
  at::removeCallback(handle);
  return count;
}

}  // namespace longspan
