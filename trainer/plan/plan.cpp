#include "trainer/plan/plan.h"

#include <algorithm>
#include <tuple>

#include "src/core/error.h"
#include "src/core/fields_writer.h"
#include "src/core/text.h"
#include "trainer/plan/memory_choices.h"

namespace longspan {

namespace {

constexpr int64_t kContextStep = 1024;
constexpr int64_t kLongestContext = int64_t{1} << 24;

Plan plan_with(const RunShape& shape, const std::vector<Stage>& stages, const MemoryOptions& memory,
               const Machine& machine) {
  Plan plan{.memory = memory,
            .stages = {},
            .available_bytes = machine.available_bytes,
            .available_ram_bytes = shape.device.is_cpu() ? 0 : machine.available_ram_bytes,
            .available_disk_bytes = machine.available_disk_bytes};
  for (const Stage& stage : stages) {
    MemoryPlan bytes = plan_memory(shape, stage, memory);
    plan.stages.push_back({stage, bytes, plan_time(shape, stage, memory, bytes, machine.rates)});
  }
  return plan;
}

bool fits_as_choice(const Plan& plan, const RunShape& shape, const MemoryOptions& asked) {
  const int64_t layers = shape.config.num_hidden_layers;
  const bool keeps_more = recomputed_layers(plan.memory, layers) < layers && !asked.recompute &&
                          !asked.recompute_num_layers;
  return plan.fits() && (!keeps_more || plan.available_bytes == 0 ||
                         leaves_enough(shape, plan.peak(), plan.available_bytes));
}

}  // namespace

int64_t Plan::seq_len() const {
  int64_t longest = 0;
  for (const StagePlan& planned : stages) longest = std::max(longest, planned.stage.seq_len);
  return longest;
}

const MemoryPlan& Plan::peak() const {
  return std::max_element(
             stages.begin(), stages.end(),
             [](const auto& a, const auto& b) { return a.memory.total() < b.memory.total(); })
      ->memory;
}

double Plan::run_seconds() const {
  double seconds = 0;
  for (const auto& [stage, bytes, step] : stages) {
    seconds += static_cast<double>(stage.steps) * step.total();
  }
  return seconds;
}

int64_t Plan::ram_bytes() const {
  int64_t most = 0;
  for (const auto& planned : stages) most = std::max(most, planned.memory.stored);
  return most;
}

int64_t Plan::disk_bytes() const {
  int64_t most = 0;
  for (const auto& planned : stages) most = std::max(most, planned.memory.disk);
  return most;
}

bool Plan::keeps_within_bound() const {
  if (memory.offload == Offload::kNone) return true;
  return std::all_of(stages.begin(), stages.end(), [&](const auto& planned) {
    const int64_t stored = planned.memory.stored;
    const bool in_bound = memory.offload != Offload::kRam || stored <= *memory.offload_ram;
    return in_bound && (available_ram_bytes == 0 || stored <= available_ram_bytes);
  });
}

bool Plan::fits(double part) const {
  if (!keeps_within_bound()) return false;
  const bool on_disk = !available_disk_bytes || disk_bytes() <= *available_disk_bytes;
  return on_disk && (available_bytes == 0 || static_cast<double>(peak().total()) <=
                                                 part * static_cast<double>(available_bytes));
}

Plan plan_run(const RunShape& shape, const std::vector<Stage>& stages, const MemoryOptions& asked,
              const Machine& machine) {
  // A knob that does not matter must not be turned: half a percent is no difference in time, and
  // copies to RAM slow down what they go on beside.
  const auto order = [&](const Plan& plan) {
    const bool fits = fits_as_choice(plan, shape, asked);
    const int64_t bytes = plan.peak().total();
    double seconds = plan.run_seconds();
    if (plan.memory.weights != FrozenWeights::kResident) seconds *= 1.005;
    if (plan.memory.offload == Offload::kRam) seconds *= 1.02;
    return std::tuple(!fits, fits ? seconds : 0.0, fits ? *plan.memory.chunk_tokens != 0 : false,
                      bytes);
  };
  Machine compared = machine;
  compared.rates = machine.usual;
  std::optional<Plan> best;
  for (const MemoryOptions& memory : memory_choices(shape, stages, asked, machine)) {
    Plan plan = plan_with(shape, stages, memory, compared);
    if (!best || order(plan) < order(*best)) best = std::move(plan);
  }
  return plan_with(shape, stages, best->memory, machine);
}

int64_t longest_context(const RunShape& shape, const std::vector<Stage>& stages,
                        const MemoryOptions& asked, const Machine& machine) {
  const auto fits = [&](int64_t steps) {
    return plan_run(shape, with_length(stages, steps * kContextStep), asked, machine).fits();
  };
  int64_t low = 0, high = kLongestContext / kContextStep;
  while (low < high) {
    const int64_t middle = low + (high - low + 1) / 2;
    if (fits(middle)) {
      low = middle;
    } else {
      high = middle - 1;
    }
  }
  return low * kContextStep;
}

std::vector<Remedy> remedies(const RunShape& shape, const std::vector<Stage>& stages,
                             const MemoryOptions& asked, const Machine& machine) {
  MemoryOptions open{.offload_dir = asked.offload_dir,
                     .optimizer_state_bits = asked.optimizer_state_bits};
  const bool is_open = write_fields(asked) == write_fields(open);
  std::vector<Remedy> found;
  const auto consider = [&](std::string change, const RunShape& with_shape,
                            const std::vector<Stage>& with_stages, const MemoryOptions& with) {
    const Plan plan = plan_run(with_shape, with_stages, with, machine);
    if (!plan.fits()) return;
    constexpr const char* kOpened = "memory: auto in its other keys";
    if (!is_open) change = change.empty() ? kOpened : fmt::format("{}, {}", kOpened, change);
    found.push_back({std::move(change), plan.peak().total()});
  };
  if (!is_open) consider("", shape, stages, open);
  MemoryOptions in_8_bits = open;
  in_8_bits.optimizer_state_bits = 8;
  if (asked.optimizer_state_bits != 8) {
    consider("memory.optimizer_state_bits=8", shape, stages, in_8_bits);
  }
  std::vector<Stage> one_row = stages;
  bool has_batches = false;
  for (Stage& stage : one_row) {
    if (stage.batch_size == 1) continue;
    if (!stage.attention->misfit_of_batch(1, stage.seq_len).empty()) continue;
    has_batches = true;
    stage.gradient_accumulation_steps *= stage.batch_size;
    stage.batch_size = 1;
  }
  if (has_batches) {
    consider("batch_size 1 and as many gradient_accumulation_steps", shape, one_row, open);
  }
  const bool has_frozen =
      std::ranges::any_of(shape.projections, [](const auto& p) { return p.is_frozen; });
  RunShape in_nf4 = shape;
  const bool to_nf4 = has_frozen && shape.quantization != Quantization::kNf4;
  if (to_nf4) {
    in_nf4.quantization = Quantization::kNf4;
    consider("model.quantization=nf4", in_nf4, stages, open);
  }
  if (has_frozen && shape.device.is_cpu()) {
    RunShape dense = shape;
    dense.quantization = Quantization::kNone;
    dense.can_be_mapped = true;
    MemoryOptions mapped = open;
    mapped.weights = FrozenWeights::kMapped;
    consider(std::string("model.quantization=none memory.weights=mapped") +
                 (shape.can_be_mapped ? "" : " and the model converted to this dtype"),
             dense, stages, mapped);
  }
  if (to_nf4 || has_batches) {
    consider(
        fmt::format("{}memory.optimizer_state_bits=8{}", to_nf4 ? "model.quantization=nf4 " : "",
                    has_batches ? " and batch_size 1" : ""),
        in_nf4, one_row, in_8_bits);
  }
  return found;
}

std::vector<Stage> with_length(std::vector<Stage> stages, int64_t tokens) {
  const int64_t longest = std::ranges::max(stages, {}, &Stage::seq_len).seq_len;
  for (Stage& stage : stages) {
    stage.seq_len = stage.seq_len == longest ? tokens : std::min(stage.seq_len, tokens);
  }
  return stages;
}

void require_fit(const Plan& plan, const std::vector<Remedy>& remedies, int64_t longest_context) {
  if (plan.fits(1.0)) return;
  const MemoryPlan& peak = plan.peak();
  if (!plan.keeps_within_bound()) {
    fail(ExitCode::kOutOfMemory,
         "memory.offload_ram: {} of activations are kept in RAM, more than {}; raise it as far as "
         "there is RAM, or offload to disk",
         human_bytes(peak.stored),
         human_bytes(plan.available_ram_bytes == 0
                         ? *plan.memory.offload_ram
                         : std::min(*plan.memory.offload_ram, plan.available_ram_bytes)));
  }
  std::string help = remedies.empty() ? fmt::format("the longest context that fits is {} tokens",
                                                    human_count(longest_context))
                                      : fmt::format("it fits with {} ({})", remedies.front().change,
                                                    human_bytes(remedies.front().bytes));
  fail(
      ExitCode::kOutOfMemory,
      "training needs about {} of memory (weights {}, trained {}, kept {}, at work {}, program {}) "
      "and {} of disk; {} and {} are available; {}",
      human_bytes(peak.total()), human_bytes(peak.weights), human_bytes(peak.trained),
      human_bytes(peak.kept), human_bytes(peak.working), human_bytes(peak.program),
      human_bytes(plan.disk_bytes()), human_bytes(plan.available_bytes),
      plan.available_disk_bytes ? human_bytes(*plan.available_disk_bytes) : "an unknown size",
      help);
}

}  // namespace longspan
