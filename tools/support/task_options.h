#pragma once

#include <memory>
#include <span>
#include <vector>

#include "tools/support/arguments.h"
#include "trainer/eval/eval_run.h"

namespace longspan {

/// The group of --text, --documents, --items and --seed: of what all tasks draw from.
constexpr std::string_view kItemOptions = "Texts and items";

struct EvalChoice {
  EvalTasks tasks;
  std::vector<NamedArm> arms;
};

/// The tasks that --task names and the arms of --arm, with the keys that --set NAME.KEY=VALUE gives
/// them; --suite names tasks where --task does not, and keys where nothing else does.
/// "far=retrieval" is the arm retrieval under the name "far". Those of `options` whose group is a
/// task are short forms: --trials 5 stands for --set passkey.trials=5; those of the group
/// kItemOptions stand for that key of every task that has it. Throws Error(kUsage) with all that is
/// wrong, unknown names and keys with the nearest known.
EvalChoice read_eval_choice(const Arguments& arguments, std::span<const Option> options);

}  // namespace longspan
