#include "trainer/memory_options.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "src/core/text.h"

namespace longspan {

namespace {

template <class T>
using Names = std::vector<std::pair<std::string, T>>;

const Names<Recompute> kRecomputeNames = {{"none", Recompute::kNone},
                                          {"selective", Recompute::kSelective},
                                          {"selective++", Recompute::kSelectivePlusPlus},
                                          {"layer", Recompute::kLayer}};
const Names<Offload> kOffloadNames = {
    {"none", Offload::kNone}, {"ram", Offload::kRam}, {"disk", Offload::kDisk}};
const Names<FrozenWeights> kWeightsNames = {{"resident", FrozenWeights::kResident},
                                            {"mapped", FrozenWeights::kMapped}};

constexpr int64_t kMostBytes = int64_t{1} << 50;

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

void read_state_bits(Fields& fields, const char* key, std::optional<int64_t>& value) {
  if (is_auto(fields, key)) return;
  int64_t bits = 32;
  fields.optional(key, bits);
  if (bits == 32 || bits == 8) {
    value = bits;
  } else {
    fields.error(key, fmt::format("{} is not known; expected 32, 8 or auto", bits));
  }
}

Json number_or_auto(const std::optional<int64_t>& value) { return value ? Json(*value) : "auto"; }

Json auto_or(const Json& form) { return {{"anyOf", {{{"const", "auto"}}, form}}}; }

template <class T>
void name_field(FieldsIo& io, const char* key, const Names<T>& names, std::optional<T>& value,
                std::string_view meaning) {
  std::vector<std::string> allowed{"auto"};
  std::string given = "auto";
  for (const auto& [name, meant] : names) {
    allowed.push_back(name);
    if (value == meant) given = name;
  }
  io.choice(key, given, allowed, meaning);
  for (const auto& [name, meant] : names) {
    if (name == given) value = meant;
  }
}

void count_field(FieldsIo& io, const char* key, int64_t most, std::optional<int64_t>& value,
                 std::string_view meaning) {
  if (Fields* fields = io.reading()) return read_count(*fields, key, most, value);
  io.put(key, number_or_auto(value),
         auto_or({{"type", "integer"}, {"minimum", 0}, {"maximum", most}}), meaning);
}

void bytes_field(FieldsIo& io, const char* key, std::optional<int64_t>& value,
                 std::string_view meaning) {
  if (Fields* fields = io.reading()) return read_bytes(*fields, key, value);
  const char* size = "^(auto|[0-9]*[.]?[0-9]+([eE][+-]?[0-9]+)?([KMG]?B|[KMG]iB)?)$";
  io.put(key, number_or_auto(value),
         {{"anyOf",
           {{{"type", "integer"}, {"minimum", 0}, {"maximum", kMostBytes}},
            {{"type", "string"}, {"pattern", size}}}}},
         meaning);
}

void state_bits_field(FieldsIo& io, std::optional<int64_t>& value) {
  constexpr const char* kKey = "optimizer_state_bits";
  if (Fields* fields = io.reading()) return read_state_bits(*fields, kKey, value);
  io.put(kKey, number_or_auto(value), {{"enum", {"auto", 32, 8}}},
         "of AdamW's moments; 8 as bitsandbytes' AdamW8bit, `auto` is 32");
}

/// What recompute: none excludes.
void check_beside_none(FieldsIo& io, const MemoryOptions& options) {
  const auto refuse = [&](const char* key, bool is_asked, std::string_view why) {
    if (!is_asked) return;
    io.error(key, fmt::format("recompute: none {}; expected recompute: selective, selective++ or "
                              "layer",
                              why));
  };
  refuse("offload", options.offload.value_or(Offload::kNone) != Offload::kNone,
         "leaves what is kept to autograd, so that nothing can be offloaded");
  refuse("chunk_tokens", options.chunk_tokens.value_or(0) > 0, "works on all tokens at once");
  refuse("recompute_num_layers", options.recompute_num_layers.value_or(0) > 0,
         "recomputes no layer");
  refuse("recompute_rest", options.recompute_rest.value_or(Recompute::kNone) != Recompute::kNone,
         "is for all layers");
}

}  // namespace

void fields(FieldsIo& io, MemoryOptions& options) {
  io.prose(
      "What a run gives up for less memory. `auto` (or no such key) leaves the choice to the plan, "
      "which takes the fastest that fits (`longspan plan` shows it); what is given is never "
      "changed.");
  name_field(io, "recompute", kRecomputeNames, options.recompute,
             "what a layer computes again in backward: nothing; all but attention and the last "
             "projections (`o_proj`, `down_proj`); `o_proj` too; all but `down_proj`");
  count_field(io, "recompute_num_layers", int64_t{1} << 20, options.recompute_num_layers,
              "in how many layers, the first ones");
  name_field(io, "recompute_rest", kRecomputeNames, options.recompute_rest,
             "what the others compute again; `auto` is nothing where `recompute` is given");
  name_field(io, "offload", kOffloadNames, options.offload, "where kept activations go");
  io.text("offload_dir", options.offload_dir, "the folder for those on disk",
          {.otherwise = "`output.dir`"});
  bytes_field(io, "offload_ram", options.offload_ram,
              "what `ram` may take, beyond which a GPU keeps them, or what `disk` leaves in RAM: "
              "bytes, `4GB`, `512MiB`");
  count_field(io, "chunk_tokens", int64_t{1} << 26, options.chunk_tokens,
              "tokens that the MLP and the projections of q, k and v work on at once; 0: all");
  name_field(io, "weights", kWeightsNames, options.weights,
             "of the frozen projections: in memory, or read from the model's file at each use");
  state_bits_field(io, options.optimizer_state_bits);
  io.prose(
      "`recompute: none` goes with no `recompute_num_layers`, `recompute_rest`, `offload` or "
      "`chunk_tokens`; `offload_ram` says nothing where nothing is offloaded. `weights: mapped` is "
      "for the CPU, without `model.quantization`, and for a file that holds the weights in "
      "`model.dtype`.");
  if (options.recompute == Recompute::kNone) check_beside_none(io, options);
}

int64_t first_layers(const MemoryOptions& options, int64_t layers) {
  if (options.recompute == Recompute::kNone) return 0;
  return std::min(layers, options.recompute_num_layers.value_or(layers));
}

Recompute recompute_of_rest(const MemoryOptions& options) {
  if (options.recompute == Recompute::kNone) return Recompute::kNone;
  return options.recompute_rest.value_or(Recompute::kNone);
}

int64_t recomputed_layers(const MemoryOptions& options, int64_t layers) {
  return recompute_of_rest(options) == Recompute::kNone ? first_layers(options, layers) : layers;
}

int64_t fetched_ahead(const MemoryOptions& options) {
  const Recompute rest = recompute_of_rest(options);
  const bool one_a_layer = options.recompute == Recompute::kLayer &&
                           (rest == Recompute::kNone || rest == Recompute::kLayer);
  return one_a_layer ? 1 : 2;
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
  if (!options.recompute) {
    take(options.recompute_num_layers, chosen.recompute_num_layers);
    take(options.recompute_rest, chosen.recompute_rest);
  }
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
