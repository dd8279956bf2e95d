#pragma once

#include <optional>
#include <string>
#include <vector>

#include "trainer/plan/plan_memory.h"
#include "trainer/plan/plan_time.h"

namespace longspan {

/// Of the device's memory: a plan is right within a tenth.
inline constexpr double kUsable = 0.9;

/// What a run will need, before anything is loaded.
struct Plan {
  struct StagePlan {
    Stage stage;
    MemoryPlan memory;
    TimePlan step;
  };
  MemoryOptions memory;  // with every "auto" chosen
  std::vector<StagePlan> stages;
  int64_t available_bytes = 0;                  // free memory of the device; 0: not known
  int64_t available_ram_bytes = 0;              // RAM that a GPU's run offloads to; 0: not known
  std::optional<int64_t> available_disk_bytes;  // free space of offload_dir, where it is known

  const MemoryPlan& peak() const;  // the stage that needs the most
  int64_t seq_len() const;         // of the stage of the longest sequences
  int64_t ram_bytes() const;       // kept activations that a store holds in RAM, at the most
  int64_t disk_bytes() const;      // kept activations of the stage that writes the most
  double run_seconds() const;
  /// Whether what is kept in RAM stays within offload_ram, where that is a bound, and of a GPU's
  /// run within what RAM there is.
  bool keeps_within_bound() const;
  /// Whether `part` of the available memory is enough, the disk, and the bound.
  bool fits(double part = kUsable) const;
};

/// What a run is planned for.
struct Machine {
  KernelRates rates;                // say the time that the run will take
  KernelRates usual = {};           // decide between choices of memory
  int64_t available_bytes = 0;      // free memory of the device
  int64_t available_ram_bytes = 0;  // RAM that a GPU's run offloads to; a CPU's is available_bytes
  std::optional<int64_t> available_disk_bytes;
};

/// Plans the stages. It chooses the fastest combination that fits among those that `asked` leaves
/// open, among equally fast ones the one of least memory, and the one of least memory where none
/// fits. The machine's usual rates decide what is fastest: train, which measures nothing, chooses
/// what plan said. Nothing is chosen that changes the numbers of a run: optimizer_state_bits stay
/// 32 unless given. The choice leaves a tenth of the available memory free, and lets as many layers
/// keep everything as half of it has room for, or nine tenths of a GPU's, which serves this run
/// alone. A GPU's run offloads to RAM, of which a twentieth stays free, where that is faster by
/// more than 2 % or where nothing else fits.
Plan plan_run(const RunShape& shape, const std::vector<Stage>& stages, const MemoryOptions& asked,
              const Machine& machine);

/// The longest sequence, in steps of 1024 tokens, for which plan_run fits with_length(); 0 when
/// none does.
int64_t longest_context(const RunShape& shape, const std::vector<Stage>& stages,
                        const MemoryOptions& asked, const Machine& machine);

/// A change of the recipe with which the run fits.
struct Remedy {
  std::string change;  // "memory.optimizer_state_bits=8"
  int64_t bytes = 0;   // the peak with it
};

/// The remedies that help. Each leaves open again what `asked` fixes, and adds 8-bit optimizer
/// states, accumulation instead of batches, NF4 weights, dense weights mapped from disk, or the
/// first three together, as far as a recipe takes it: without frozen weights none are quantised or
/// mapped. None is left where nothing but a shorter context helps.
std::vector<Remedy> remedies(const RunShape& shape, const std::vector<Stage>& stages,
                             const MemoryOptions& asked, const Machine& machine);

/// The stages with `tokens` in place of their longest sequences; shorter ones stay, up to `tokens`.
std::vector<Stage> with_length(std::vector<Stage> stages, int64_t tokens);

/// Throws Error(kOutOfMemory) with the figures and what would help when the plan needs more than
/// all that is available.
void require_fit(const Plan& plan, const std::vector<Remedy>& remedies, int64_t longest_context);

}  // namespace longspan
