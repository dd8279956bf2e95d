#include "trainer/plan/plan_report.h"

#include <algorithm>

#include "src/core/fields_writer.h"
#include "src/core/text.h"

namespace longspan {

namespace {

std::string seconds_shown(double seconds) {
  return seconds < 60 ? fmt::format("{:.1f} s", seconds) : human_duration(seconds);
}

std::string column_of(const Stage& stage, const ModelConfig& config) {
  return fmt::format(
      "{} {}", length_label(stage.seq_len),
      stage.attention->describe(config.num_hidden_layers, config.num_attention_heads));
}

std::vector<std::string> columns_of(const Plan& plan, const ModelConfig& config) {
  std::vector<std::string> columns{""};
  for (const auto& planned : plan.stages) columns.push_back(column_of(planned.stage, config));
  return columns;
}

/// "attention", "MLP" or "loss": when the peak is reached.
std::string moment_of(const MemoryPlan& memory) {
  const int64_t most = std::max({memory.attention, memory.mlp, memory.loss});
  const int64_t alone = std::max(memory.update, memory.validation);  // when nothing else is kept
  if (alone - memory.kept > most) return memory.update == alone ? "update" : "validation";
  if (most == memory.attention) return "attention";
  return most == memory.mlp ? "MLP" : "loss";
}

}  // namespace

std::vector<std::pair<std::string, double>> parts_of(const MemoryPlan& memory) {
  const auto d = [](int64_t bytes) { return static_cast<double>(bytes); };
  return {{"program", d(memory.program)},
          {"weights", d(memory.weights)},
          {"trained", d(memory.trained)},
          {"kept", d(memory.kept)},
          {"working", d(memory.working)}};
}

std::vector<std::pair<std::string, double>> parts_of(const TimePlan& step) {
  return {{"linears_forward", step.linears_forward},
          {"linears_recomputed", step.linears_recomputed},
          {"linears_backward", step.linears_backward},
          {"attention_forward", step.attention_forward},
          {"attention_recomputed", step.attention_recomputed},
          {"attention_backward", step.attention_backward},
          {"head", step.head},
          {"elementwise", step.elementwise},
          {"optimizer", step.optimizer},
          {"host_copy", step.host_copy},
          {"disk", step.disk}};
}

std::string describe_memory(const Plan& plan) {
  const Json memory = write_fields(plan.memory);
  std::string text = "recompute " + memory["recompute"].get<std::string>();
  if (plan.memory.recompute_num_layers && plan.memory.recompute != Recompute::kNone) {
    text += fmt::format(" in {} layers", *plan.memory.recompute_num_layers);
    if (recompute_of_rest(plan.memory) != Recompute::kNone) {
      text += ", " + memory["recompute_rest"].get<std::string>() + " in the others";
    }
  }
  if (*plan.memory.chunk_tokens > 0) {
    text += fmt::format(", MLP and q, k, v in chunks of {} tokens",
                        human_count(*plan.memory.chunk_tokens));
  }
  if (plan.memory.offload == Offload::kDisk) {
    text += fmt::format(", activations beyond {} offloaded to disk ({})",
                        human_bytes(*plan.memory.offload_ram), human_bytes(plan.disk_bytes()));
  } else if (plan.memory.offload == Offload::kRam) {
    text += fmt::format(", {} of activations in at most {} of RAM", human_bytes(plan.ram_bytes()),
                        human_bytes(*plan.memory.offload_ram));
  }
  if (plan.memory.weights == FrozenWeights::kMapped) text += ", weights mapped";
  if (plan.memory.optimizer_state_bits == 8) text += ", optimizer states of 8 bits";
  return text;
}

std::string describe_peak(const MemoryPlan& memory) {
  return fmt::format("{} (weights {}, trained {}, kept {}, at work {}, program {})",
                     human_bytes(memory.total()), human_bytes(memory.weights),
                     human_bytes(memory.trained), human_bytes(memory.kept),
                     human_bytes(memory.working), human_bytes(memory.program));
}

Table memory_table(const Plan& plan, const ModelConfig& config) {
  Table table{.title = "memory at the peak", .header = columns_of(plan, config)};
  for (const auto& [name, unused] : parts_of(plan.stages.front().memory)) {
    table.rows.push_back({name});
  }
  table.rows.push_back({"total"});
  table.rows.push_back({"reached in"});
  table.rows.push_back({"activations on disk"});
  for (const auto& planned : plan.stages) {
    size_t row = 0;
    for (const auto& [name, bytes] : parts_of(planned.memory)) {
      table.rows[row++].push_back(human_bytes(bytes));
    }
    table.rows[row++].push_back(human_bytes(planned.memory.total()));
    table.rows[row++].push_back(moment_of(planned.memory));
    table.rows[row++].push_back(planned.memory.disk > 0 ? human_bytes(planned.memory.disk)
                                                        : "none");
  }
  return table;
}

Table time_table(const Plan& plan, const ModelConfig& config) {
  Table table{.title = "time of a step", .header = columns_of(plan, config)};
  for (const auto& [name, unused] : parts_of(plan.stages.front().step)) {
    table.rows.push_back({name});
  }
  table.rows.push_back({"total"});
  table.rows.push_back({"tokens/s"});
  table.rows.push_back({"steps"});
  for (const auto& [stage, memory, step] : plan.stages) {
    size_t row = 0;
    for (const auto& [name, seconds] : parts_of(step)) {
      table.rows[row++].push_back(seconds_shown(seconds));
    }
    table.rows[row++].push_back(seconds_shown(step.total()));
    const double tokens_per_second = static_cast<double>(stage.tokens_per_step()) / step.total();
    table.rows[row++].push_back(
        fmt::format("{:.{}f}", tokens_per_second, tokens_per_second < 10 ? 2 : 0));
    table.rows[row++].push_back(human_count(stage.steps));
  }
  return table;
}

Table sweep_table(const std::vector<Plan>& plans) {
  Table table{.title = "by length",
              .header = {"length", "peak", "disk", "step, slowest stage", "run", "fits"}};
  for (const Plan& plan : plans) {
    double slowest = 0;
    for (const auto& planned : plan.stages) slowest = std::max(slowest, planned.step.total());
    table.rows.push_back({length_label(plan.seq_len()), human_bytes(plan.peak().total()),
                          plan.disk_bytes() > 0 ? human_bytes(plan.disk_bytes()) : "none",
                          seconds_shown(slowest), seconds_shown(plan.run_seconds()),
                          plan.fits() ? "yes" : "no"});
  }
  return table;
}

Json or_null(std::optional<int64_t> bytes) { return bytes ? Json(*bytes) : Json(nullptr); }

Json plan_json(const Plan& plan) {
  Json stages = Json::array();
  for (const auto& [stage, memory, step] : plan.stages) {
    Json bytes, seconds;
    for (const auto& [name, value] : parts_of(memory)) bytes[name] = static_cast<int64_t>(value);
    for (const auto& [name, value] : parts_of(step)) seconds[name] = value;
    bytes["total"] = memory.total();
    bytes["working_by_moment"] = {{"attention", memory.attention},
                                  {"mlp", memory.mlp},
                                  {"loss", memory.loss},
                                  {"update", memory.update},
                                  {"validation", memory.validation}};
    seconds["total"] = step.total();
    stages.push_back({{"steps", stage.steps},
                      {"seq_len", stage.seq_len},
                      {"attention", stage.attention->name()},
                      {"memory_bytes", bytes},
                      {"stored_bytes", memory.stored},
                      {"disk_bytes", memory.disk},
                      {"step_seconds", seconds}});
  }
  return {{"memory", write_fields(plan.memory)},
          {"stages", stages},
          {"peak_memory_bytes", plan.peak().total()},
          {"run_seconds", plan.run_seconds()},
          {"available_memory_bytes", plan.available_bytes},
          {"available_ram_bytes", plan.available_ram_bytes},
          {"available_disk_bytes", or_null(plan.available_disk_bytes)},
          {"fits", plan.fits()}};
}

}  // namespace longspan
