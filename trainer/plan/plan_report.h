#pragma once

#include <optional>
#include <string>

#include "src/core/json.h"
#include "trainer/figures/table.h"
#include "trainer/plan/plan.h"

namespace longspan {

/// "recompute selective, MLP and q, k, v in chunks of 8,192 tokens, weights mapped".
std::string describe_memory(const Plan& plan);
/// "2.4 GiB (weights 257 MiB, trained 35 MiB, kept 1.1 GiB, at work 0.8 GiB, program 190 MiB)".
std::string describe_peak(const MemoryPlan& memory);

/// A row a part and a column a stage of a run of that model; the lines of time end with the run's.
Table memory_table(const Plan& plan, const ModelConfig& config);
Table time_table(const Plan& plan, const ModelConfig& config);
/// A row a plan, each of one length of sequences.
Table sweep_table(const std::vector<Plan>& plans);

/// null where it is not known.
Json or_null(std::optional<int64_t> bytes);
/// Bytes and seconds, with the keys of MemoryPlan and TimePlan.
Json plan_json(const Plan& plan);

/// Part and size, in the order of the structs, without the sum and without the moments of the peak.
std::vector<std::pair<std::string, double>> parts_of(const MemoryPlan& memory);
std::vector<std::pair<std::string, double>> parts_of(const TimePlan& step);

}  // namespace longspan
