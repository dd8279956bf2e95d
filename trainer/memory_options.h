#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "src/core/fields_io.h"
#include "src/nn/recompute.h"

namespace longspan {

enum class Offload { kNone, kRam, kDisk };
enum class FrozenWeights { kResident, kMapped };

/// What a run gives up for less memory: the `memory:` map of a recipe. Each value is "auto" (here
/// none) until the plan has chosen it, and a value that was given is never changed. See
/// trainer/plan/plan.h, which also says what `auto` may become.
struct MemoryOptions {
  /// "none", "selective", "selective++" or "layer": what each decoder layer keeps for its backward.
  std::optional<Recompute> recompute = {};
  /// How many layers, counted from the first, do what `recompute` says. Without a value: all, where
  /// `recompute` is given.
  std::optional<int64_t> recompute_num_layers = {};
  /// What the others do. Without a value they keep everything.
  std::optional<Recompute> recompute_rest = {};
  /// "none": kept tensors stay where they were made. "ram": they move into at most offload_ram
  /// bytes, beyond which a GPU keeps them. "disk": beyond offload_ram they move into a file in
  /// offload_dir.
  std::optional<Offload> offload = {};
  std::string offload_dir = {};             // "": the run's output.dir
  std::optional<int64_t> offload_ram = {};  // bytes; in recipes also "4GB" or "512MiB"
  /// How many tokens an MLP, and the projections of q, k and v, work on at once; 0: all. Changes a
  /// run by rounding alone.
  std::optional<int64_t> chunk_tokens = {};
  /// "resident", or "mapped": read from the model's files layer by layer, at each use.
  std::optional<FrozenWeights> weights = {};
  std::optional<int64_t> optimizer_state_bits = {};  // 32, or 8 as bitsandbytes' AdamW8bit
};

/// The keys of a recipe's `memory` map.
void fields(FieldsIo& io, MemoryOptions& options);

/// How many of a model's `layers` do what `recompute` says, and what the others do.
int64_t first_layers(const MemoryOptions& options, int64_t layers);
Recompute recompute_of_rest(const MemoryOptions& options);
/// How many compute something again.
int64_t recomputed_layers(const MemoryOptions& options, int64_t layers);

/// How many kept tensors are to be on their way back to a GPU while a layer is at work: those of a
/// layer, and two at the most.
int64_t fetched_ahead(const MemoryOptions& options);

/// What "auto" is where nobody plans: recompute selective, nothing offloaded, resident weights,
/// all tokens at once, optimizer states of 32 bits.
MemoryOptions default_memory_options();

/// `options` where they say something, else `chosen`.
MemoryOptions merge_memory_options(MemoryOptions options, const MemoryOptions& chosen);

}  // namespace longspan
