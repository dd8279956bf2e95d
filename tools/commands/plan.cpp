#include <cstdio>
#include <filesystem>

#include "recipes/idle_keys.h"
#include "recipes/recipe_plan.h"
#include "src/core/atomic_file.h"
#include "src/core/cuda.h"
#include "src/core/disk_space.h"
#include "src/core/log.h"
#include "src/core/text.h"
#include "src/nn/device.h"
#include "tools/commands/commands.h"
#include "tools/support/output_file.h"
#include "tools/support/recipe_arguments.h"
#include "tools/support/shared_options.h"
#include "trainer/plan/plan_chart.h"
#include "trainer/plan/plan_report.h"
#include "trainer/trainer.h"

namespace longspan {

namespace fs = std::filesystem;

namespace {

constexpr Option kPlanOptions[] = {
    {"length", "LIST", "", "lengths of the longest sequences to plan too, such as 8K,32K,128K"},
    {"available", "SIZE", "", "memory to plan for, such as 22GiB (default: what is free now)"},
    {"available-ram", "SIZE", "",
     "RAM that a GPU may offload to, such as 110GiB (default: what is free here now)"},
    {"available-disk", "SIZE", "",
     "disk for activations and checkpoints, such as 200GB (default: what is free here now)"},
    {"rates", "FILE.json", "",
     "the machine's rates, as --save-rates wrote them (default: measured now; of a GPU that is not "
     "here those usual for an H100)"},
    {"save-rates", "FILE.json", "", "keep the measured rates"},
    {"out", "FILE.svg", "", "draw memory and time by length, of --length"},
    {"json", "", "", "print JSON"},
};

KernelRates rates_for(const Arguments& arguments, const Recipe& recipe, const RunShape& shape) {
  if (arguments.given("rates")) {
    const auto file = arguments["rates"];
    return read_rates(read_json_file(file, ExitCode::kUsage), file);
  }
  if (shape.device.is_cuda() && !has_cuda_driver()) {
    if (arguments.given("save-rates")) {
      fail(ExitCode::kUsage, "--save-rates: there is no GPU here to measure; leave it out");
    }
    log_info(
        "there is no GPU here to measure: times are by rates usual for an H100; --rates takes "
        "those of another");
    return usual_rates(shape.device);
  }
  log_info("measuring this machine for some seconds (--save-rates keeps the result)");
  return measure_rates(shape, recipe.stages, existing_folder(offload_directory(recipe)));
}

/// A GPU that is not here can be planned for as well, where nothing is to be asked of it.
at::Device planned_device(const Arguments& arguments) {
  const auto& name = arguments["device"];
  if (name != "cuda") return open_device(name);
  const bool is_here = has_cuda_driver();
  if (arguments.given("available") && (arguments.given("rates") || !is_here)) return at::kCUDA;
  if (!is_here) {
    fail(ExitCode::kUsage,
         "--device: there is no GPU here to ask; expected --available SIZE of the one to plan for, "
         "such as 79GiB, and --rates FILE.json, else those usual for an H100");
  }
  return open_device(name);
}

Machine planned_machine(const Arguments& arguments, const Recipe& recipe, const RunShape& shape) {
  const KernelRates rates = rates_for(arguments, recipe, shape);
  const bool is_given = arguments.given("available");
  Machine machine = this_machine(recipe, rates, is_given ? at::kCPU : shape.device);
  machine.usual = usual_rates(shape.device);
  if (is_given) machine.available_bytes = parse_bytes(arguments["available"], "--available");
  if (arguments.given("available-ram")) {
    machine.available_ram_bytes = parse_bytes(arguments["available-ram"], "--available-ram");
  }
  if (arguments.given("available-disk")) {
    machine.available_disk_bytes = parse_bytes(arguments["available-disk"], "--available-disk");
  }
  return machine;
}

void write_result(const fs::path& path, const std::string& text) {
  write_file(path, text);
  log_info("wrote {}", path.string());
}

/// What there is to say of one recipe on one machine.
struct Answer {
  Plan plan;
  std::vector<Plan> sweep = {};  // of --length
  std::vector<Remedy> remedies = {};
  int64_t longest_context = 0;
  CheckpointSpace checkpoints = {};
};

std::vector<int64_t> lengths_of(const Arguments& arguments) {
  if (!arguments.given("length")) return {};
  auto lengths = parse_lengths(arguments["length"], "--length");
  for (int64_t length : lengths) {
    if (length >= 2 && length <= kLongestSequence) continue;
    fail(ExitCode::kUsage, "--length: {} is out of range; expected 2 to {}, as for train.seq_len",
         length, kLongestSequence);
  }
  return lengths;
}

Answer answer(const std::vector<int64_t>& lengths, const Recipe& recipe, const RunShape& shape,
              const Machine& machine) {
  const MemoryOptions& asked = recipe.train.memory;
  Answer found{.plan = plan_run(shape, recipe.stages, asked, machine),
               .longest_context = longest_context(shape, recipe.stages, asked, machine)};
  found.checkpoints = checkpoint_space(recipe, shape, found.plan);
  if (!found.plan.fits()) found.remedies = remedies(shape, recipe.stages, asked, machine);
  for (int64_t length : lengths) {
    found.sweep.push_back(plan_run(shape, with_length(recipe.stages, length), asked, machine));
  }
  return found;
}

Json to_json(const Answer& found, const KernelRates& rates) {
  Json json = plan_json(found.plan);
  json["longest_context"] = found.longest_context;
  json["checkpoints"] = {{"bytes", found.checkpoints.bytes},
                         {"at_once", found.checkpoints.at_once},
                         {"available_disk_bytes", or_null(found.checkpoints.available)}};
  json["rates"] = write_rates(rates);
  json["remedies"] = Json::array();
  for (const Remedy& remedy : found.remedies) {
    json["remedies"].push_back({{"change", remedy.change}, {"peak_memory_bytes", remedy.bytes}});
  }
  json["lengths"] = Json::array();
  for (const Plan& plan : found.sweep) json["lengths"].push_back(plan_json(plan));
  return json;
}

/// A bar of the chart a stage.
std::vector<Plan> by_stage(const Plan& plan) {
  std::vector<Plan> plans;
  for (const auto& stage : plan.stages) plans.emplace_back(plan).stages = {stage};
  return plans;
}

void print(const Answer& found, const ModelConfig& config) {
  const Plan& plan = found.plan;
  fmt::print("{}{}", text_table(memory_table(plan, config)), text_table(time_table(plan, config)));
  fmt::print("run      {}\n", human_duration(plan.run_seconds()));
  fmt::print("memory   {}\n", describe_memory(plan));
  std::string beside;
  if (plan.available_ram_bytes > 0 && plan.memory.offload == Offload::kRam) {
    beside = fmt::format(", and {} of {} of RAM", human_bytes(plan.ram_bytes()),
                         human_bytes(plan.available_ram_bytes));
  }
  if (plan.disk_bytes() > 0 && plan.available_disk_bytes) {
    beside += fmt::format(", and {} of {} of disk", human_bytes(plan.disk_bytes()),
                          human_bytes(*plan.available_disk_bytes));
  }
  fmt::print("fits     {}: {} of {} available, a tenth of which is left free{}\n",
             plan.fits() ? "yes" : "no", human_bytes(plan.peak().total()),
             human_bytes(plan.available_bytes), beside);
  for (const Remedy& remedy : found.remedies) {
    fmt::print("         with {}: {}\n", remedy.change, human_bytes(remedy.bytes));
  }
  fmt::print("saved    checkpoints of {}{}\n", found.checkpoints.to_string(),
             found.checkpoints.fits() ? "" : ", which is too little");
  fmt::print("longest  {} tokens fit in memory\n", human_count(found.longest_context));
  if (found.sweep.empty()) return;
  fmt::print("{}", text_table(sweep_table(found.sweep)));
  for (const Plan& swept : found.sweep) {
    fmt::print("  {:<6} {}\n", length_label(swept.seq_len()), describe_memory(swept));
  }
}

int run_plan(const Arguments& arguments) {
  const at::Device device = planned_device(arguments);
  const std::vector<int64_t> lengths = lengths_of(arguments);
  const Recipe recipe = load_recipe(arguments);
  for (const char* option : {"out", "save-rates"}) {
    if (!arguments.given(option)) continue;
    require_output(arguments[option], {recipe.file, recipe.model.path});
  }
  const ModelConfig config = read_planned_config(recipe);
  const auto model = open_planned_model(recipe);
  check_recipe_against_model(recipe, config, model.get());
  warn_of_idle_keys(recipe, &config);
  set_seed_and_threads(recipe.train);
  const RunShape shape = run_shape(recipe, config, model.get(), device);
  const Machine machine = planned_machine(arguments, recipe, shape);
  if (arguments.given("save-rates")) {
    write_result(arguments["save-rates"], json_text(write_rates(machine.rates)) + "\n");
  }
  Answer found = answer(lengths, recipe, shape, machine);
  if (arguments.given("available-disk")) {
    found.checkpoints.available = machine.available_disk_bytes;
  }
  if (arguments.given("out")) {
    write_result(arguments["out"],
                 plan_chart_svg(found.sweep.empty() ? by_stage(found.plan) : found.sweep));
  }
  if (arguments.given("json")) {
    fmt::print("{}\n", json_text(to_json(found, machine.rates)));
  } else {
    print(found, config);
  }
  return 0;
}

}  // namespace

constinit const Command kPlanCommand{
    .name = "plan",
    .summary = "what a recipe will need: memory, disk, time",
    .description =
        "What a recipe will need, without loading anything: memory and disk, time of a step and of "
        "the run, what fits. With --available, --device cuda needs no GPU here.",
    .example =
        "  longspan plan recipes/smollm2-135m-32k.yaml --length 8K,32K,128K --out plan.svg\n"
        "  longspan plan recipes/llama2-7b-100k.yaml model.path=Llama-2-7b-hf/config.json --json",
    .arguments = kRecipeArguments,
    .options = {kPlanOptions, kDeviceOption},
    .run = run_plan,
};

}  // namespace longspan
