#include "trainer/memory_options.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "src/core/text.h"

namespace longspan {

namespace {

template <class T>
using Names = std::vector<std::pair<std::string, T>>;

const Names<Recompute> kRecomputeNames = {
    {"none", Recompute::kNone}, {"selective", Recompute::kSelective}, {"layer", Recompute::kLayer}};
const Names<Offload> kOffloadNames = {
    {"none", Offload::kNone}, {"ram", Offload::kRam}, {"disk", Offload::kDisk}};
const Names<FrozenWeights> kWeightsNames = {{"resident", FrozenWeights::kResident},
                                            {"mapped", FrozenWeights::kMapped}};

constexpr int64_t kMostBytes = int64_t{1} << 50;

template <class T>
void read_name(Fields& fields, const char* key, const Names<T>& names, std::optional<T>& value) {
  std::vector<std::string> allowed{"auto"};
  for (const auto& [name, unused] : names) allowed.push_back(name);
  std::string given = "auto";
  fields.choice(key, given, allowed);
  for (const auto& [name, meant] : names) {
    if (name == given) value = meant;
  }
}

bool is_auto(Fields& fields, const char* key) {
  Json given = "auto";
  fields.optional(key, given);
  return given == "auto";
}

void read_count(Fields& fields, const char* key, int64_t most, std::optional<int64_t>& value) {
  if (is_auto(fields, key)) return;
  int64_t count = 0;
  fields.in_range(key, count, 0, most);
  value = count;
}

void read_bytes(Fields& fields, const char* key, std::optional<int64_t>& value) {
  Json given;
  fields.optional(key, given);
  if (!given.is_string()) return read_count(fields, key, kMostBytes, value);
  if (given == "auto") return;
  try {
    value = parse_bytes(given.get<std::string>(), key);
  } catch (const Error&) {
    fields.error(key, fmt::format("'{}' is no size; expected bytes, a size such as 4GB or 512MiB, "
                                  "or auto",
                                  given.get<std::string>()));
  }
}

void read_state_bits(Fields& fields, std::optional<int64_t>& value) {
  constexpr const char* kKey = "optimizer_state_bits";
  if (is_auto(fields, kKey)) return;
  int64_t bits = 32;
  fields.optional(kKey, bits);
  if (bits == 32 || bits == 8) {
    value = bits;
  } else {
    fields.error(kKey, fmt::format("{} is not known; expected 32, 8 or auto", bits));
  }
}

template <class T>
Json name_of(const std::optional<T>& value, const Names<T>& names) {
  for (const auto& [name, meant] : names) {
    if (value == meant) return name;
  }
  return "auto";
}

Json number_or_auto(const std::optional<int64_t>& value) { return value ? Json(*value) : "auto"; }

}  // namespace

MemoryOptions read_memory_options(Fields fields) {
  MemoryOptions options;
  read_name(fields, "recompute", kRecomputeNames, options.recompute);
  read_count(fields, "recompute_num_layers", int64_t{1} << 20, options.recompute_num_layers);
  read_name(fields, "offload", kOffloadNames, options.offload);
  fields.optional("offload_dir", options.offload_dir);
  read_bytes(fields, "offload_ram", options.offload_ram);
  read_count(fields, "chunk_tokens", int64_t{1} << 26, options.chunk_tokens);
  read_name(fields, "weights", kWeightsNames, options.weights);
  read_state_bits(fields, options.optimizer_state_bits);
  if (options.recompute == Recompute::kNone &&
      options.offload.value_or(Offload::kNone) != Offload::kNone) {
    fields.error("offload",
                 "recompute: none leaves what is kept to autograd, so that nothing can "
                 "be offloaded; expected recompute: selective or layer");
  }
  if (options.recompute == Recompute::kNone && options.chunk_tokens.value_or(0) > 0) {
    fields.error(
        "chunk_tokens",
        "recompute: none works on all tokens at once; expected recompute: selective or layer");
  }
  if (options.recompute == Recompute::kNone && options.recompute_num_layers.value_or(0) > 0) {
    fields.error("recompute_num_layers",
                 "recompute: none recomputes no layer; expected recompute: selective or layer");
  }
  fields.finish();
  return options;
}

Json write_memory_options(const MemoryOptions& options) {
  return {{"recompute", name_of(options.recompute, kRecomputeNames)},
          {"recompute_num_layers", number_or_auto(options.recompute_num_layers)},
          {"offload", name_of(options.offload, kOffloadNames)},
          {"offload_dir", options.offload_dir},
          {"offload_ram", number_or_auto(options.offload_ram)},
          {"chunk_tokens", number_or_auto(options.chunk_tokens)},
          {"weights", name_of(options.weights, kWeightsNames)},
          {"optimizer_state_bits", number_or_auto(options.optimizer_state_bits)}};
}

int64_t recomputed_layers(const MemoryOptions& options, int64_t layers) {
  if (options.recompute == Recompute::kNone) return 0;
  return std::min(layers, options.recompute_num_layers.value_or(layers));
}

MemoryOptions default_memory_options() {
  return {.recompute = Recompute::kSelective,
          .offload = Offload::kNone,
          .offload_ram = 0,
          .chunk_tokens = 0,
          .weights = FrozenWeights::kResident,
          .optimizer_state_bits = 32};
}

MemoryOptions merge_memory_options(MemoryOptions options, const MemoryOptions& chosen) {
  const auto take = [](auto& value, const auto& other) {
    if (!value) value = other;
  };
  if (!options.recompute) take(options.recompute_num_layers, chosen.recompute_num_layers);
  take(options.recompute, chosen.recompute);
  take(options.offload, chosen.offload);
  take(options.offload_ram, chosen.offload_ram);
  take(options.chunk_tokens, chosen.chunk_tokens);
  take(options.weights, chosen.weights);
  take(options.optimizer_state_bits, chosen.optimizer_state_bits);
  if (options.offload_dir.empty()) options.offload_dir = chosen.offload_dir;
  return options;
}

}  // namespace longspan
