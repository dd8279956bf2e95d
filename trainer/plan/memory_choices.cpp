#include "trainer/plan/memory_choices.h"

#include <algorithm>

#include "src/core/error.h"

namespace longspan {

namespace {

constexpr int64_t kChunks[] = {0, 8192, 2048};
// Of what is available: what saves time only leaves room for others, and what is stored in RAM is
// known to the byte.
constexpr double kUsableForAll = 0.5, kUsableRam = 0.95;

/// What the store may hold in RAM: what the rest of the peak leaves.
int64_t room_for_kept(const RunShape& shape, const std::vector<Stage>& stages, MemoryOptions memory,
                      int64_t available) {
  memory.offload_ram = 0;
  int64_t rest = 0;
  for (const Stage& stage : stages) {
    const MemoryPlan planned = plan_memory(shape, stage, memory);
    rest = std::max(rest, planned.total() - planned.stored);
  }
  const auto usable = static_cast<int64_t>(kUsable * static_cast<double>(available));
  return std::max<int64_t>(0, usable - rest);
}

template <class T>
std::vector<T> choices(const std::optional<T>& given, std::vector<T> all) {
  return given ? std::vector<T>{*given} : std::move(all);
}

/// `memory` with the fewest layers that leave enough of what is available while the others do what
/// `rest` says; nothing when that is all of them.
std::optional<MemoryOptions> recomputing_less(const RunShape& shape,
                                              const std::vector<Stage>& stages,
                                              MemoryOptions memory, Recompute rest,
                                              int64_t available) {
  memory.recompute_rest = rest;
  const int64_t layers = shape.config.num_hidden_layers;
  const auto fits = [&](int64_t count) {
    memory.recompute_num_layers = count;
    return std::all_of(stages.begin(), stages.end(), [&](const Stage& stage) {
      return leaves_enough(shape, plan_memory(shape, stage, memory), available);
    });
  };
  int64_t least = 1, most = layers;
  while (least < most) {
    const int64_t middle = (least + most) / 2;
    if (fits(middle)) {
      most = middle;
    } else {
      least = middle + 1;
    }
  }
  if (least == layers) return std::nullopt;
  memory.recompute_num_layers = least;
  return memory;
}

bool recompute_given_for_rest(const MemoryOptions& asked) {
  return asked.recompute_rest.value_or(Recompute::kNone) != Recompute::kNone;
}

/// What the other layers do where some do `recompute`: the next that keeps more. On the CPU, whose
/// memory others want too, the one that keeps all.
std::optional<Recompute> rest_beside(const RunShape& shape, Recompute recompute) {
  if (recompute == Recompute::kSelective) return Recompute::kNone;
  if (shape.device.is_cpu()) return std::nullopt;
  if (recompute == Recompute::kSelectivePlusPlus) return Recompute::kSelective;
  if (recompute == Recompute::kLayer) return Recompute::kSelectivePlusPlus;
  return std::nullopt;
}

/// Whether some layers may keep more. Where a GPU offloads to RAM, what has no room there stays in
/// the GPU's memory, and attention's result is worth that: to make it again takes longest.
bool may_differ(const RunShape& shape, Recompute recompute, Offload offload) {
  return offload == Offload::kNone ||
         (offload == Offload::kRam && !shape.device.is_cpu() && recompute == Recompute::kLayer);
}

std::vector<FrozenWeights> places_of_weights(const RunShape& shape) {
  const bool can_be_mapped = shape.can_be_mapped && shape.quantization == Quantization::kNone;
  if (!can_be_mapped) return {FrozenWeights::kResident};
  return {FrozenWeights::kResident, FrozenWeights::kMapped};
}

std::vector<Offload> places_of_activations(const RunShape& shape, const Machine& machine) {
  if (shape.device.is_cpu()) return {Offload::kNone, Offload::kDisk};
  if (machine.available_ram_bytes == 0) return {Offload::kNone};
  return {Offload::kNone, Offload::kRam};
}

/// What the store may hold in RAM unless the recipe says it.
int64_t bound_of_store(const RunShape& shape, const std::vector<Stage>& stages,
                       const MemoryOptions& memory, const Machine& machine) {
  if (memory.offload == Offload::kNone) return 0;
  if (shape.device.is_cpu()) return room_for_kept(shape, stages, memory, machine.available_bytes);
  return static_cast<int64_t>(kUsableRam * static_cast<double>(machine.available_ram_bytes));
}

}  // namespace

std::vector<MemoryOptions> memory_choices(const RunShape& shape, const std::vector<Stage>& stages,
                                          const MemoryOptions& asked, const Machine& machine) {
  std::vector<MemoryOptions> all;
  for (Recompute recompute :
       choices(asked.recompute, {Recompute::kNone, Recompute::kSelective,
                                 Recompute::kSelectivePlusPlus, Recompute::kLayer})) {
    // A number of layers to recompute was given, or what the others do.
    const bool is_given =
        asked.recompute_num_layers.value_or(0) > 0 || recompute_given_for_rest(asked);
    const bool ignores_layers = recompute == Recompute::kNone && !asked.recompute && is_given;
    if (ignores_layers) continue;
    for (Offload offload : choices(asked.offload, places_of_activations(shape, machine))) {
      if (recompute == Recompute::kNone && offload != Offload::kNone) continue;
      for (int64_t chunk : choices(asked.chunk_tokens, {kChunks[0], kChunks[1], kChunks[2]})) {
        if (recompute == Recompute::kNone && chunk > 0) continue;
        for (FrozenWeights weights : choices(asked.weights, places_of_weights(shape))) {
          // Layers that recompute nothing hold their weights until backward is done.
          const bool holds_weights = weights == FrozenWeights::kMapped &&
                                     recompute == Recompute::kNone &&
                                     !(asked.weights && asked.recompute);
          if (holds_weights) continue;
          MemoryOptions memory = asked;
          memory.recompute = recompute;
          memory.offload = offload;
          memory.chunk_tokens = chunk;
          memory.weights = weights;
          memory.optimizer_state_bits = asked.optimizer_state_bits.value_or(32);
          if (!asked.offload_ram || offload == Offload::kNone) {
            memory.offload_ram = bound_of_store(shape, stages, memory, machine);
          }
          memory.recompute_num_layers = first_layers(memory, shape.config.num_hidden_layers);
          memory.recompute_rest = recompute_of_rest(memory);
          all.push_back(memory);
          const bool may_mix = !asked.recompute && !asked.recompute_num_layers &&
                               !asked.recompute_rest && may_differ(shape, recompute, offload) &&
                               weights == FrozenWeights::kResident;
          const std::optional<Recompute> rest =
              may_mix ? rest_beside(shape, recompute) : std::nullopt;
          if (!rest) continue;
          auto mixed = recomputing_less(shape, stages, memory, *rest, machine.available_bytes);
          if (mixed) all.push_back(*mixed);
        }
      }
    }
  }
  if (all.empty()) {
    fail(ExitCode::kRecipe,
         "memory: with recompute: none nothing can be offloaded and nothing is cut into chunks; "
         "expected recompute: selective, selective++ or layer");
  }
  return all;
}

bool leaves_enough(const RunShape& shape, const MemoryPlan& memory, int64_t available) {
  const double part = shape.device.is_cpu() ? kUsableForAll : kUsable;
  return static_cast<double>(memory.total()) <= part * static_cast<double>(available);
}

}  // namespace longspan
