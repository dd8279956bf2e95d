#include "tools/support/inspect_rope.h"

#include <cmath>

#include "checkpoints/adapters/peft_adapter.h"
#include "checkpoints/hf/hf_config.h"
#include "checkpoints/hf/hub_cache.h"
#include "checkpoints/model_source.h"
#include "checkpoints/run_state/checkpoint_store.h"
#include "src/core/atomic_file.h"
#include "src/core/log.h"
#include "src/core/text.h"
#include "src/rope/rope_table.h"
#include "tools/support/output_file.h"
#include "tools/support/rope_option.h"
#include "trainer/figures/rope_chart.h"
#include "trainer/figures/table.h"

namespace longspan {

namespace {

/// The config of a model, or of the model that an adapter, a checkpoint or a run's newest makes.
ModelConfig config_of(const std::filesystem::path& named) {
  const std::filesystem::path path = find_model(named);
  const auto folder = find_adapter(path);
  if (!folder) return read_hf_config(*open_model_source(path));
  PeftAdapter adapter = read_peft_adapter(*folder);
  if (adapter.config_json.is_null()) {
    fail(ExitCode::kModel, "{}: the adapter has no config.json; inspect its base model instead: {}",
         folder->string(), adapter.base_model_name_or_path);
  }
  return read_hf_config(adapter.config_json, (*folder / "config.json").string());
}

Json row_json(const RopeTableRow& row) {
  return {{"pair", row.pair},
          {"wavelength_before", row.wavelength_before},
          {"wavelength", row.wavelength},
          {"divisor", row.divisor()},
          {"turns_in_original_length", row.turns_before},
          {"turns_in_length", row.turns},
          {"effect", effect_name(row.effect)},
          {"unseen_angles", row.unseen_angles()}};
}

Json facts_of(const std::string& path, const Json& entry, const RopeTable& table) {
  Json facts = {{"path", path},
                {"rope", entry},
                {"original_length", table.original_length},
                {"length", table.length},
                {"attention_factor", table.attention_factor},
                {"pairs", Json::array()}};
  for (const auto& row : table.rows) facts["pairs"].push_back(row_json(row));
  return facts;
}

std::string title_of(const RopeScaling& scaling, const RopeGeometry& geometry,
                     const RopeTable& table) {
  return fmt::format("{} x{:.6g}, rope_theta {:.0f}, attention factor {:.4g}", scaling.rope_type(),
                     scaling.factor(), geometry.rope_theta, table.attention_factor);
}

std::string number(double value) {
  return value < 1000 ? fmt::format("{:.3g}", value) : human_count(std::llround(value));
}

void print_table(const RopeTable& table) {
  Table text{
      .title = fmt::format("Pairs of dimensions: {} kept, {} blended, {} interpolated; {} meet "
                           "angles that {} tokens never showed them",
                           table.count(RopeTableRow::Effect::kKept),
                           table.count(RopeTableRow::Effect::kBlended),
                           table.count(RopeTableRow::Effect::kInterpolated), table.unseen_angles(),
                           human_count(table.original_length)),
      .header = {"pair", "wavelength before", "after", "divided by",
                 "turns in " + human_count(table.original_length),
                 "in " + human_count(table.length), "effect", "unseen angles"}};
  for (const auto& row : table.rows) {
    text.rows.push_back({fmt::format("{}", row.pair), number(row.wavelength_before),
                         number(row.wavelength), fmt::format("{:.4g}", row.divisor()),
                         number(row.turns_before), number(row.turns),
                         std::string(effect_name(row.effect)), row.unseen_angles() ? "yes" : ""});
  }
  fmt::print("{}", text_table(text));
}

}  // namespace

int inspect_rope(const Arguments& arguments) {
  std::string path = arguments["path"];
  ModelConfig config = config_of(path);
  bool other = !arguments["rope"].empty();
  RopeExtension rope =
      other ? extend_rope_by_option(config, arguments) : extend_rope(config, nullptr);
  int64_t length = rope.context_length;
  if (arguments.given("length")) length = parse_length(arguments["length"], "--length");

  RopeGeometry geometry = config.rope_geometry();
  geometry.max_position_embeddings = rope.original_max_position_embeddings;
  RopeTable table = rope_table(*rope.scaling, geometry, length);
  std::string title = title_of(*rope.scaling, geometry, table);
  if (arguments.given("svg")) {
    require_output(arguments["svg"], {path});
    write_file(arguments["svg"], rope_chart_svg(table, title));
    log_info("wrote {}", arguments["svg"]);
  }
  if (arguments.given("json")) {
    fmt::print("{}\n", json_text(facts_of(path, rope.scaling->config_entry(geometry), table)));
    return 0;
  }
  fmt::print("{}: {}\n", path, title);
  print_table(table);
  if (config.decoder.local_rope) {  // Gemma 3
    fmt::print("Its sliding_attention layers keep a RoPE of their own: {}, rope_theta {:.0f}\n",
               config.decoder.local_rope->rope_scaling->rope_type(),
               config.decoder.local_rope->rope_theta);
  }
  return 0;
}

}  // namespace longspan
