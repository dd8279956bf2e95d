#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "trainer/eval/eval_task.h"

namespace longspan {

// What `longspan eval` writes and `longspan report` reads:
//   {"format": "longspan eval", "format_version": 1, "label": ..., <provenance keys>,
//    "arms": [{"arm", "length", "time_to_first_token_seconds", ...}], see CostMeters::write;
//    "tasks": [{"task", "protocol": {...}, "rows": [{"arm", "length", ...}], "seconds"}]}
constexpr std::string_view kEvalFormat = "longspan eval";
constexpr int64_t kEvalFormatVersion = 1;

struct EvalResult {
  std::string label;
  Json provenance = Json::object();  // model, rope, attention, dtype, machine, ...: any keys
  std::vector<TaskResult> tasks;

  Json write() const;
};

/// Throws Error(kData) with file and key for anything but a result of a known format version whose
/// tasks are known and whose rows can be read.
EvalResult read_eval_result(const std::filesystem::path& path);
EvalResult read_eval_result(const Json& json, const std::string& place);

}  // namespace longspan
