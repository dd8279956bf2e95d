#include "tools/bench/kineto_trace.h"

#include <torch/csrc/autograd/profiler_kineto.h>

#include <set>

namespace longspan {

namespace profiler = torch::autograd::profiler;
using torch::profiler::impl::ActivityType;

KinetoTrace::KinetoTrace(at::Device device) {
  const torch::profiler::impl::ProfilerConfig config(torch::profiler::impl::ProfilerState::KINETO);
  std::set<ActivityType> activities{ActivityType::CPU};
  if (!device.is_cpu()) activities.insert(ActivityType::CUDA);
  profiler::prepareProfiler(config, activities);
  profiler::enableProfiler(config, activities);
}

KinetoTrace::~KinetoTrace() {
  if (records_) profiler::disableProfiler();
}

void KinetoTrace::save(const std::filesystem::path& file) {
  records_ = false;
  profiler::disableProfiler()->save(file.string());
}

}  // namespace longspan
