#include "tools/support/memory_option.h"

#include "checkpoints/saved_memory.h"
#include "src/attention/focused_memory.h"
#include "src/core/disk_space.h"
#include "src/core/log.h"
#include "src/core/text.h"
#include "src/nn/device.h"
#include "tools/support/output_file.h"
#include "trainer/eval/arms/model_change.h"
#include "trainer/eval/arms/reading_arm.h"

namespace longspan {

namespace fs = std::filesystem;

namespace {

const FocusedMemoryAttention* focused_memory_of(const CausalLm& model) {
  return dynamic_cast<const FocusedMemoryAttention*>(&model.attention());
}

/// Of keys and values that its layers remember of so many tokens.
int64_t memory_bytes(const ModelConfig& config, const FocusedMemoryOptions& options,
                     int64_t tokens) {
  const double token = 2 * static_cast<double>(config.num_key_value_heads) *
                       remembered_bytes(options.mem_dtype, config.head_dim);
  return static_cast<int64_t>(token * static_cast<double>(tokens * std::ssize(options.mem_layers)));
}

/// --quantization too changes what a model remembers, and not its files.
Json identity_of(const Arguments& arguments, const OpenedModel& opened) {
  Json identity = memory_identity(*opened.source, *opened.model);
  identity["quantization"] = arguments["quantization"];
  return identity;
}

}  // namespace

void announce_memory(const CausalLm& model, int64_t tokens) {
  const auto* attention = focused_memory_of(model);
  if (!attention) return;
  const ModelConfig& config = model.config();
  const FocusedMemoryOptions& options = attention->options();
  const int64_t bytes = memory_bytes(config, options, tokens);
  const bool on_disk = !options.mem_dir.empty();
  const at::Device device = model.lm_head_weight().device();
  const std::string where = device.is_cpu() ? "of RAM" : "of the GPU";
  log_info("memory   {} of {} layers remember {} tokens as {}: {} {}", options.mem_layers.size(),
           config.num_hidden_layers, human_count(tokens), name_of(options.mem_dtype),
           human_bytes(bytes), on_disk ? "in " + options.mem_dir : where);
  if (on_disk) return require_disk_space(options.mem_dir, bytes);
  const int64_t available = available_memory_bytes(device);
  if (available == 0 || bytes <= available) return;
  fail(ExitCode::kOutOfMemory,
       "memory of {} tokens takes {}, and {} {} are free; take mem_dtype: int8 or int4, fewer "
       "mem_layers, or mem_dir: FOLDER, which keeps it on a disk",
       human_count(tokens), human_bytes(bytes), human_bytes(available), where);
}

void announce_memory_of_arms(const std::vector<NamedArm>& arms, const EvalSubject& subject,
                             int64_t tokens) {
  for (const NamedArm& arm : arms) {
    const auto* reading = dynamic_cast<const ReadingArm*>(arm.arm.get());
    if (!reading) continue;
    CausalLm& model = arm.subject(subject).model;
    const ModelChange restored(model);
    reading->change(model, tokens);
    announce_memory(model, tokens);
  }
}

void announce_reading(const Arguments& arguments, const CausalLm& model, int64_t loaded,
                      int64_t tokens) {
  const auto* attention = focused_memory_of(model);
  if (!attention) return;
  announce_memory(model, tokens);
  if (!arguments.given("save-memory")) return;
  const fs::path folder = existing_folder(fs::absolute(arguments["save-memory"]).parent_path());
  const FocusedMemoryOptions& options = attention->options();
  int64_t bytes = memory_bytes(model.config(), options, loaded + tokens);
  if (!options.mem_dir.empty() && on_one_disk(folder, existing_folder(options.mem_dir))) {
    bytes += memory_bytes(model.config(), options, tokens);
  }
  require_disk_space(folder, bytes);
}

ModelState open_memory(const Arguments& arguments, const OpenedModel& opened) {
  for (const char* option : {"save-memory", "memory"}) {
    if (!arguments.given(option) || focused_memory_of(*opened.model)) continue;
    fail(ExitCode::kUsage,
         "--{}: is for focused memory, and the model reads with {} attention; give --attention "
         "'{{pattern: focused_memory, mem_layers: [..], window: ..}}'",
         option, opened.model->attention().name());
  }
  if (!arguments.given("memory")) return {};
  ModelState state =
      load_memory(arguments["memory"], *opened.model, identity_of(arguments, opened));
  log_info("{}: {} tokens", arguments["memory"], human_count(state.length()));
  return state;
}

void write_memory(const Arguments& arguments, const OpenedModel& opened, const ModelState& state) {
  const std::string path = arguments["save-memory"];
  save_memory(path, state, identity_of(arguments, opened));
  log_info("{}: {} tokens", path, human_count(state.length()));
}

}  // namespace longspan
