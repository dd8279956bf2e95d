#pragma once

#include "tools/support/arguments.h"
#include "tools/support/open_model.h"
#include "tools/support/option.h"
#include "trainer/eval/eval_work.h"

namespace longspan {

inline constexpr Option kMemoryOptions[] = {
    {"save-memory", "FILE", "",
     "read the text under focused memory, write what is remembered, and generate nothing",
     "Focused memory"},
    {"memory", "FILE", "", "go on from what --save-memory wrote", "Focused memory"},
};

/// Says what focused memory will take for `tokens` tokens; nothing under another attention. Throws
/// Error(kOutOfMemory) where that is more than there is of RAM, Error(kFailure) of the disk.
void announce_memory(const CausalLm& model, int64_t tokens);

/// The same of a text of `tokens` behind a memory of `loaded` that is open. Throws Error(kFailure)
/// too where the disk has no room for what --save-memory writes.
void announce_reading(const Arguments& arguments, const CausalLm& model, int64_t loaded,
                      int64_t tokens);

/// The same of each arm that reads so, with its own model.
void announce_memory_of_arms(const std::vector<NamedArm>& arms, const EvalSubject& subject,
                             int64_t tokens);

/// The state that --memory names, or an empty one. Throws Error(kUsage) where one of the two
/// options is given and the attention is not focused memory.
ModelState open_memory(const Arguments& arguments, const OpenedModel& opened);

/// Writes `state` where --save-memory asks for it.
void write_memory(const Arguments& arguments, const OpenedModel& opened, const ModelState& state);

}  // namespace longspan
