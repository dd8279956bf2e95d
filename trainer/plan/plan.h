#pragma once

#include <optional>
#include <string>
#include <vector>

#include "trainer/plan/plan_memory.h"
#include "trainer/plan/plan_time.h"

namespace longspan {

/// What a run will need, before anything is loaded.
struct Plan {
  struct StagePlan {
    Stage stage;
    MemoryPlan memory;
    TimePlan step;
  };
  MemoryOptions memory;  // with every "auto" chosen
  std::vector<StagePlan> stages;
  int64_t available_bytes = 0;                  // of the device's memory; 0: not known
  int64_t available_ram_bytes = 0;              // for what a GPU's run offloads; 0: not known
  std::optional<int64_t> available_disk_bytes;  // where activations are offloaded to, where known

  const MemoryPlan& peak() const;  // of the stage that needs the most
  int64_t disk_bytes() const;      // of kept activations, of the stage that writes the most
  double run_seconds() const;
  /// Whether what is kept in RAM stays within offload_ram, where that is a bound, and of a GPU's
  /// run within what RAM there is.
  bool keeps_within_bound() const;
  /// Whether `part` of the available memory is enough, the disk, and the bound.
  bool fits(double part = 0.9) const;
};

/// What a run is planned for.
struct Machine {
  KernelRates rates;                // for the time it will take
  KernelRates usual = {};           // to choose by
  int64_t available_bytes = 0;      // of the device's memory
  int64_t available_ram_bytes = 0;  // for what a GPU's run offloads; that of a CPU is above
  std::optional<int64_t> available_disk_bytes;
};

/// Plans the stages. Of the combinations that `asked` leaves open the fastest that fits is chosen,
/// of equally fast ones that of least memory, and the one of least memory when none fits. They are
/// compared at the machine's usual rates, so that train, which measures nothing, chooses what plan
/// said. What changes the numbers of a run is never chosen: optimizer_state_bits stay 32 unless
/// given. A GPU's run offloads nothing unless told to. A tenth of the available memory is left
/// free; as many layers keep everything as half of it has room for.
Plan plan_run(const RunShape& shape, const std::vector<Stage>& stages, const MemoryOptions& asked,
              const Machine& machine);

/// The longest sequence, in steps of 1024 tokens, for which plan_run fits when every stage has it;
/// 0 when none does.
int64_t longest_context(const RunShape& shape, const std::vector<Stage>& stages,
                        const MemoryOptions& asked, const Machine& machine);

/// A change of the recipe with which the run fits.
struct Remedy {
  std::string change;  // "memory.optimizer_state_bits=8"
  int64_t bytes = 0;   // the peak with it
};

/// Those that help, of: what `asked` fixes left open again, and with it 8-bit optimizer states,
/// accumulation instead of batches, NF4 weights, dense weights mapped from disk, and the first
/// three together; none when nothing but a shorter context does.
std::vector<Remedy> remedies(const RunShape& shape, const std::vector<Stage>& stages,
                             const MemoryOptions& asked, const Machine& machine);

/// The stages with every sequence of `tokens`.
std::vector<Stage> with_length(std::vector<Stage> stages, int64_t tokens);

/// Throws Error(kOutOfMemory) with the figures and what would help when the plan needs more than
/// all that is available.
void require_fit(const Plan& plan, const std::vector<Remedy>& remedies, int64_t longest_context);

}  // namespace longspan
