#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <set>

#include "checkpoints/rope_description.h"
#include "src/core/json.h"
#include "src/core/printable.h"
#include "src/core/text.h"
#include "tools/commands/commands.h"
#include "tools/support/arguments.h"
#include "tools/support/checkpoint_view.h"
#include "trainer/figures/table.h"

namespace longspan {

namespace {

constexpr Option kDiffArguments[] = {
    {"a", "A", "", "one checkpoint"},
    {"b", "B", "", "the other"},
};
constexpr Option kDiffOptions[] = {
    {"json", "", "", "print JSON, with every tensor that differs"},
};
constexpr size_t kTensorsShown = 20;

/// Say nothing of what the model computes.
constexpr const char* kImmaterial[] = {"_name_or_path", "transformers_version"};

/// Scripts, digits, blanks, code, added tokens: where tokenizers part.
constexpr const char* kProbe =
    "The quick brown fox doesn't jump; it's 1234567.89 (or 50%)!\n\n\tdef f(x):\n        return "
    "x**2  # twice\r\n Füße naïveté Ελληνικά русский 日本語 हिन्दी עברית "
    "👩‍👩‍👧 "
    "½ "
    "\u00a0\u3000<s> </s> <|im_start|>user\n<|endoftext|> [INST] <unk> THEY'RE  e\u0301";

/// "other_dtype": the same values, stored otherwise.
const char* verdict_of(const TensorDifference& d) {
  if (!d.b) return "only_in_a";
  if (!d.a) return "only_in_b";
  if (d.equal()) return "equal";
  return d.same_shape() && d.unequal == 0 ? "other_dtype" : "differ";
}

Json diff_tensors_json(const std::vector<TensorDifference>& differences) {
  Json counts = {
      {"equal", 0}, {"other_dtype", 0}, {"differ", 0}, {"only_in_a", 0}, {"only_in_b", 0}};
  Json list = Json::array();
  for (const auto& d : differences) {
    const char* kind = verdict_of(d);
    counts[kind] = counts[kind].get<int64_t>() + 1;
    if (d.equal()) continue;
    Json entry = {{"name", d.name}, {"verdict", kind}};
    if (d.a) entry["a"] = {{"dtype", d.a->dtype}, {"shape", d.a->shape}};
    if (d.b) entry["b"] = {{"dtype", d.b->dtype}, {"shape", d.b->shape}};
    if (d.same_shape()) {
      entry["unequal"] = d.unequal;
      entry["max_abs"] = d.max_abs;
      entry["relative"] = d.relative;
    }
    list.push_back(std::move(entry));
  }
  return {{"counts", std::move(counts)}, {"tensors", std::move(list)}};
}

/// The dotted keys in which two maps differ, with both values. Lists are compared whole.
void add_differing_keys(const Json& a, const Json& b, const std::string& path, Json& keys) {
  if (!a.is_object() || !b.is_object()) {
    if (a != b) keys.push_back({{"key", path}, {"a", a}, {"b", b}});
    return;
  }
  Json both = a;
  both.update(b);
  for (const auto& [key, unused] : both.items()) {
    if (std::find(std::begin(kImmaterial), std::end(kImmaterial), key) != std::end(kImmaterial)) {
      continue;
    }
    add_differing_keys(a.value(key, Json()), b.value(key, Json()),
                       path.empty() ? key : fmt::format("{}.{}", path, key), keys);
  }
}

/// GGUF states a part of what config.json does: between formats a key counts where both have it.
Json diff_configs(const CheckpointView& a, const CheckpointView& b) {
  Json differing = Json::array(), keys = Json::array();
  add_differing_keys(a.config, b.config, "", differing);
  for (auto& entry : differing) {
    bool stated_once = entry["a"].is_null() || entry["b"].is_null();
    if (a.kind == b.kind || !stated_once) keys.push_back(std::move(entry));
  }
  Json result = {{"keys", std::move(keys)}};
  if (a.model && b.model) {
    result["rope"] = {{"a", describe_rope(*a.model)}, {"b", describe_rope(*b.model)}};
    result["max_position_embeddings"] = {{"a", a.model->max_position_embeddings},
                                         {"b", b.model->max_position_embeddings}};
  }
  return result;
}

std::set<std::string> contents_of(const Json& added_tokens) {
  std::set<std::string> contents;
  for (const auto& token : added_tokens) {
    if (token.is_object())
      contents.insert(fmt::format("{} {}", token.value("id", Json()).dump(),
                                  token.value("content", Json()).dump()));
  }
  return contents;
}

Json only_in(const std::set<std::string>& a, const std::set<std::string>& b) {
  Json only = Json::array();
  for (const auto& item : a) {
    if (!b.contains(item)) only.push_back(item);
  }
  return only;
}

/// {"equal"} and what is known; "equal" is null when neither can be read.
Json diff_tokenizers(const CheckpointView& a, const CheckpointView& b) {
  if (!a.tokenizer || !b.tokenizer) {
    Json equal = !a.tokenizer && !b.tokenizer ? Json() : Json(false);
    return {{"equal", equal},
            {"a", a.tokenizer ? "" : a.no_tokenizer},
            {"b", b.tokenizer ? "" : b.no_tokenizer}};
  }
  bool equal = a.tokenizer->fingerprint() == b.tokenizer->fingerprint();
  auto ids_a = a.tokenizer->encode(kProbe), ids_b = b.tokenizer->encode(kProbe);
  auto [first, second] = std::mismatch(ids_a.begin(), ids_a.end(), ids_b.begin(), ids_b.end());
  auto added_a = contents_of(a.added_tokens), added_b = contents_of(b.added_tokens);
  Json result = {
      {"equal", equal && ids_a == ids_b},
      {"vocab_size", {{"a", a.tokenizer->vocab_size()}, {"b", b.tokenizer->vocab_size()}}},
      {"added_only_in_a", only_in(added_a, added_b)},
      {"added_only_in_b", only_in(added_b, added_a)},
      {"probe_tokens", {{"a", ids_a.size()}, {"b", ids_b.size()}}}};
  if (ids_a != ids_b) result["probe_differs_at"] = first - ids_a.begin();
  return result;
}

/// The missing, then those of another shape, then the ones with NaN, then those that differ most.
std::vector<TensorDifference> worst_first(std::vector<TensorDifference> differences) {
  std::erase_if(differences, [](const TensorDifference& d) { return d.equal(); });
  auto rank = [](const TensorDifference& d) {
    bool nan = std::isnan(d.relative);
    return std::pair(d.same_shape(), nan ? -std::numeric_limits<double>::infinity() : -d.relative);
  };
  std::stable_sort(differences.begin(), differences.end(),
                   [&](const auto& a, const auto& b) { return rank(a) < rank(b); });
  return differences;
}

std::string kind_of(const TensorInfo* info) {
  return info ? fmt::format("{} {}", info->dtype, shape_text(info->shape)) : "missing";
}

void print_tensors(const std::vector<TensorDifference>& differences, const Json& counts) {
  auto count = [&](const char* key) { return counts.at(key).get<int64_t>(); };
  fmt::print(
      "tensors    {} equal, {} of equal values in another dtype, {} differ, {} only in A, {} only "
      "in B\n",
      count("equal"), count("other_dtype"), count("differ"), count("only_in_a"),
      count("only_in_b"));
  Table table{"", {"", "A", "B", "values that differ", "max abs", "relative"}};
  auto shown = worst_first(differences);
  size_t hidden = shown.size() > kTensorsShown ? shown.size() - kTensorsShown : 0;
  shown.resize(shown.size() - hidden);
  for (const auto& d : shown) {
    std::vector<std::string> row{"  " + d.name, kind_of(d.a), kind_of(d.b), "", "", ""};
    if (d.same_shape()) {
      row[3] = human_count(d.unequal);
      row[4] = fmt::format("{:.3g}", d.max_abs);
      row[5] = fmt::format("{:.3g}", d.relative);
    }
    table.rows.push_back(std::move(row));
  }
  if (!table.rows.empty()) fmt::print("{}", text_table(table));
  if (hidden > 0) fmt::print("  and {} more; --json has all\n", hidden);
}

/// A value of config.json on one line.
std::string config_value(const Json& value) {
  constexpr size_t kLongest = 60;
  return printable_value(json_line(value), kLongest);
}

void print_config(const Json& config) {
  size_t count = config["keys"].size();
  fmt::print("config     {}\n", count == 0 ? "equal" : fmt::format("{} keys differ", count));
  for (const auto& key : config["keys"]) {
    fmt::print("  {}: {} -> {}\n", printable_value(key["key"].get<std::string>()),
               config_value(key["a"]), config_value(key["b"]));
  }
  if (!config.contains("rope") || count == 0) return;
  for (const char* side : {"a", "b"}) {
    fmt::print("  {}: {} positions, RoPE {}\n", side[0] == 'a' ? "A" : "B",
               human_count(config["max_position_embeddings"][side].get<int64_t>()),
               config["rope"][side].get<std::string>());
  }
}

void print_tokenizer(const Json& tokenizer) {
  if (!tokenizer.contains("vocab_size")) {
    fmt::print("tokenizer  {}\n", tokenizer["equal"].is_null() ? "not compared" : "differs");
    for (const char* side : {"a", "b"}) {
      std::string reason = tokenizer[side].get<std::string>();
      if (reason.empty()) continue;
      fmt::print("  {}: {}\n", side[0] == 'a' ? "A" : "B", printable_message(reason));
    }
    return;
  }
  const Json& sizes = tokenizer["vocab_size"];
  fmt::print("tokenizer  {}; {} and {} ids\n", tokenizer["equal"].get<bool>() ? "equal" : "differs",
             human_count(sizes["a"].get<int64_t>()), human_count(sizes["b"].get<int64_t>()));
  for (const char* key : {"added_only_in_a", "added_only_in_b"}) {
    for (const auto& token : tokenizer[key]) {
      fmt::print("  added token only in {}: {}\n", key[14] == 'a' ? "A" : "B",
                 printable_value(token.get<std::string>()));
    }
  }
  if (tokenizer.contains("probe_differs_at")) {
    fmt::print("  a probe of many scripts gives {} and {} ids, other ones from number {} on\n",
               tokenizer["probe_tokens"]["a"].get<int64_t>(),
               tokenizer["probe_tokens"]["b"].get<int64_t>(),
               tokenizer["probe_differs_at"].get<int64_t>());
  }
}

int run_diff(const Arguments& arguments) {
  CheckpointView a = open_checkpoint_view(arguments["a"]);
  CheckpointView b = open_checkpoint_view(arguments["b"]);
  auto differences = diff_tensors(a.tensors, b.tensors);
  Json tensors = diff_tensors_json(differences);
  Json config = diff_configs(a, b), tokenizer = diff_tokenizers(a, b);
  bool equal = tensors["tensors"].empty() && config["keys"].empty() && tokenizer["equal"] != false;
  if (arguments.given("json")) {
    Json result = {{"a", a.path.string()}, {"b", b.path.string()}, {"equal", equal},
                   {"tensors", tensors},   {"config", config},     {"tokenizer", tokenizer}};
    fmt::print("{}\n", json_text(result));
  } else {
    fmt::print("A          {} ({})\nB          {} ({})\n", a.path.string(), a.kind, b.path.string(),
               b.kind);
    print_tensors(differences, tensors["counts"]);
    print_config(config);
    print_tokenizer(tokenizer);
  }
  return equal ? 0 : 1;
}

}  // namespace

constinit const Command kDiffCommand{
    .name = "diff",
    .summary = "what differs between two checkpoints",
    .description =
        "What differs between two checkpoints: models (folder, GGUF), adapters, run folders, "
        ".safetensors and PyTorch files. Exit code: 0 equal, 1 they differ, others as everywhere.",
    .example =
        "  longspan diff models/smollm2 runs/quickstart/merged\n"
        "  longspan diff model.safetensors other.safetensors --json",
    .arguments = kDiffArguments,
    .options = {kDiffOptions},
    .run = run_diff,
};

}  // namespace longspan
