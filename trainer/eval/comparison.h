#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "trainer/eval/eval_result.h"

namespace longspan {

/// The results of one task side by side: one protocol, one entry a model and arm.
struct TaskComparison {
  std::string task;
  Json protocol;
  std::vector<LabelledRows> models;
};

/// Puts results together task by task, in the order of the results; each arm is a model of its own.
/// Throws Error(kData) when two results have one label, or when the protocols of a task differ
/// (other texts, targets, keys): such numbers do not compare, and the error lists what differs.
std::vector<TaskComparison> compare(const std::vector<EvalResult>& results);

/// The label that `reference` means, which is that of a result, that of one of its arms ("trained:
/// retrieval"), or the file of a result: `files` are those of `results`. Throws Error(kUsage) that
/// names the labels for anything else.
std::string find_reference(const std::string& reference, const std::vector<EvalResult>& results,
                           const std::vector<TaskComparison>& comparisons,
                           const std::vector<std::filesystem::path>& files);

/// Where `reference` stands among the models: 0 when it is empty or took no part in the task.
size_t reference_index(const TaskComparison& comparison, const std::string& reference);

/// That a row or an entry of "arms" is of; "full" where it does not say.
std::string arm_of(const Json& row);

/// The dotted paths at which two JSON values differ.
std::vector<std::string> differing_paths(const Json& a, const Json& b);

}  // namespace longspan
