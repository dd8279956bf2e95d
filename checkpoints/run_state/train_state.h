#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "src/core/json.h"

namespace longspan {

/// What a run needs to go on as if it had never stopped. Beside the adapter in its checkpoint:
///   state.json              {format_version, step, tokens, identity, files_sha256, sha256}; the
///                           digests are of the other files by name, and of itself; version 1 had
///                           none
///   optimizer.safetensors   "<parameter>.master", "<parameter>.exp_avg", "<parameter>.exp_avg_sq",
///                           all float32; of moments in 8 bits uint8 codes, and their scales in
///                           "<parameter>.exp_avg_absmax", "<parameter>.exp_avg_sq_absmax"
struct TrainState {
  struct Weight {
    std::string name;  // of the parameter, as CausalLm has it
    at::Tensor master, exp_avg, exp_avg_sq;
    at::Tensor exp_avg_absmax = {}, exp_avg_sq_absmax = {};  // defined for 8 bits
  };

  int64_t step = 0;    // finished updates
  int64_t tokens = 0;  // seen in them
  Json identity;       // what must be the same when the run goes on: recipe, seed, data, model
  std::vector<Weight> weights;
};

/// What is no tensor of it.
inline constexpr const char* kTrainStateFile = "state.json";

/// Writes both files into `folder`, which must exist. What stands there by then is of the
/// checkpoint, and its SHA-256 is kept.
void write_train_state(const std::filesystem::path& folder, const TrainState& state);

/// Throws Error(kCheckpoint) when state.json is missing, damaged or of a newer version, and where
/// one of the checkpoint's files is not as it was written.
TrainState read_train_state(const std::filesystem::path& folder);

/// Throws Error(kCheckpoint) with each key path whose value differs and both values.
void require_same_identity(const Json& saved, const Json& current, const std::string& place);

}  // namespace longspan
