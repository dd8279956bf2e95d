#include <ATen/Parallel.h>

#include <atomic>

#include "src/attention/kernels/flash_operands.h"

namespace longspan::flash {

void run_tasks(int64_t count, size_t scratch_bytes,
               const std::function<void(int64_t task, void* scratch)>& task) {
  std::atomic<int64_t> next{0};
  const int64_t workers = std::min<int64_t>(count, at::get_num_threads());
  // at::parallel_for is a header: without -fopenmp it would run one thread in silence.
  at::parallel_for(0, workers, 1, [&](int64_t, int64_t) {
    const c10::DataPtr scratch = c10::GetCPUAllocator()->allocate(scratch_bytes);
    for (int64_t i = next++; i < count; i = next++) task(i, scratch.get());
  });
}

}  // namespace longspan::flash
