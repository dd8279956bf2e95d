// Reading a long text under focused memory: how fast, in how much memory, and what the search for
// pages finds of attention over all of it.

#include <ATen/Parallel.h>
#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/core/grad_mode.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "src/core/log.h"
#include "src/core/process_memory.h"
#include "src/core/stopwatch.h"
#include "src/core/text.h"
#include "src/nn/page_allocator.h"
#include "tools/bench/bench.h"
#include "tools/bench/observed_memory.h"
#include "tools/bench/read_model.h"
#include "tools/bench/timing.h"
#include "trainer/eval/arms/arm_flops.h"
#include "trainer/figures/table.h"

namespace longspan {

namespace {

constexpr std::string_view kMemoryBenchExample =
    "  bench memory --model models/SmolLM2-135M-Instruct --text books/ --json > memory.json\n"
    "  bench memory --model llama-2-7b --random-weights --layers 2 --search-pages 64 --json";
constexpr int64_t kPassTokens = 4096;    // as generate reads
constexpr int64_t kComparedTokens = 64;  // behind each length; so many search each for itself

/// Those of the command line, or at a quarter, a half and three quarters of the depth, as
/// LongLLaMA's.
std::vector<int64_t> memory_layers(const cxxopts::ParseResult& parsed, int64_t layers) {
  std::vector<int64_t> chosen{layers / 4, layers / 2, 3 * layers / 4};
  if (parsed.count("mem-layers")) {
    chosen.clear();
    for (const auto& layer : split(parsed["mem-layers"].as<std::string>(), ',')) {
      chosen.push_back(parse_number<int64_t>(layer, "--mem-layers"));
    }
  }
  std::ranges::sort(chosen);
  const auto twice = std::ranges::unique(chosen);
  chosen.erase(twice.begin(), twice.end());
  return chosen;
}

FocusedMemoryOptions read_memory_options(const cxxopts::ParseResult& parsed, int64_t layers) {
  FocusedMemoryOptions options;
  options.mem_layers = memory_layers(parsed, layers);
  options.lengths.window = parsed["window"].as<int64_t>();
  options.lengths.last_context = options.lengths.window / 2;
  const auto dtype = parsed["mem-dtype"].as<std::string>();
  const auto names = mem_dtype_names();
  if (std::ranges::find(names, dtype) == names.end()) {
    fail(ExitCode::kUsage, "--mem-dtype: '{}' is not known; expected one of {}", dtype,
         join(names, ", "));
  }
  options.mem_dtype = mem_dtype_named(dtype);
  options.search_pages = parsed["search-pages"].as<int64_t>();
  options.search_page_tokens = parsed["page-tokens"].as<int64_t>();
  if (options.lengths.window < 2 || options.search_pages < 0 || options.search_page_tokens < 1) {
    fail(ExitCode::kUsage,
         "bench memory: expected a --window from 2, --search-pages from 0, --page-tokens from 1");
  }
  return options;
}

void read_until(CausalLm& model, const at::Tensor& ids, int64_t until, int64_t sequence_length,
                ModelState& state) {
  const at::NoGradGuard no_gradients;
  const at::AutoDispatchBelowADInplaceOrView without_autograd;
  while (state.length() < until) {
    const int64_t tokens = std::min(kPassTokens, until - state.length());
    model.hidden_states({ids.narrow(1, state.length(), tokens), {}, {}, sequence_length}, &state);
  }
}

double mib(double bytes) { return std::round(bytes / (1 << 20) * 10) / 10; }

/// What every row says of the work.
Json row_of(const ReadModel& read, const FocusedMemoryOptions& options, int64_t length) {
  return {{"model", read.name},
          {"layers", read.model->config().num_hidden_layers},
          {"mem_layers", options.mem_layers.size()},
          {"window", options.lengths.window},
          {"mem_dtype", name_of(options.mem_dtype)},
          {"threads", at::get_num_threads()},
          {"length", length}};
}

/// Reads to each of the lengths. -> the state at each.
std::vector<ModelState> measure_reading(ReadModel& read, const FocusedMemoryOptions& options,
                                        const std::vector<int64_t>& lengths, Json& rows) {
  std::vector<ModelState> marks;
  ModelState state;
  double seconds = 0;
  reset_peak_memory();
  const int64_t before = peak_memory_bytes();
  for (const int64_t length : lengths) {
    const Stopwatch stopwatch;
    read_until(*read.model, read.ids, length, lengths.back(), state);
    seconds += stopwatch.seconds();
    const int64_t peak = peak_memory_bytes();
    Json row = row_of(read, options, length);
    row["search_pages"] = options.search_pages;
    row["read_seconds"] = std::round(seconds * 100) / 100;
    row["tokens_per_second"] = std::round(static_cast<double>(length) / seconds * 10) / 10;
    row["peak_rss_mib"] = mib(static_cast<double>(peak));
    row["over_weights_mib"] = mib(static_cast<double>(peak - before));
    row["kept_mib"] = mib(static_cast<double>(
        key_value_bytes(read.model->config(), read.model->attention(), length, /*bits=*/16)));
    log_info("{} tokens, search_pages {}: {} tokens/s, {} MiB", human_count(length),
             options.search_pages, row["tokens_per_second"].dump(), row["peak_rss_mib"].dump());
    rows.push_back(std::move(row));
    marks.push_back(state.fork());
  }
  return marks;
}

void measure_search(ReadModel& read, const FocusedMemoryOptions& options,
                    std::vector<ModelState>& marks, const std::vector<int64_t>& pages, Json& rows) {
  for (ModelState& state : marks) {
    const int64_t length = state.length();
    auto attention = std::make_shared<ObservedMemory>(options);
    std::vector<SearchFound> found;
    attention->compare(pages, &found);
    read.model->set_attention(attention);
    read_until(*read.model, read.ids, length + kComparedTokens, length + kComparedTokens, state);
    for (const SearchFound& one : found) {
      Json row = row_of(read, options, length);
      row["layer"] = one.layer;
      row["pages"] = one.pages;
      row["page_tokens"] = options.search_page_tokens;
      row["mass_ratio"] = one.mass;
      row["top_keys_ratio"] = one.top_keys;
      row["dense_seconds"] = one.dense_seconds;
      row["search_seconds"] = one.search_seconds;
      row["token_dense_seconds"] = one.token_dense_seconds;
      row["token_search_seconds"] = one.token_search_seconds;
      log_info("{} tokens, layer {}, {} pages: {:.3f} of the softmax, {:.3f} of the best keys",
               human_count(length), one.layer, one.pages, one.mass, one.top_keys);
      rows.push_back(std::move(row));
    }
  }
}

Json measure_memory(const cxxopts::ParseResult& parsed) {
  const auto list = [&](const char* option) {
    return parse_lengths(parsed[option].as<std::string>(), std::string("--") + option);
  };
  std::vector<int64_t> lengths = list("lengths");
  std::ranges::sort(lengths);
  const auto pages = list("pages");
  set_bench_threads(parsed["threads"].as<int64_t>());
  use_page_allocator();
  ReadModel read = open_read_model(parsed, lengths.back() + kComparedTokens);
  FocusedMemoryOptions options =
      read_memory_options(parsed, read.model->config().num_hidden_layers);
  read.model->set_attention(std::make_shared<FocusedMemoryAttention>(options));
  Json rows = Json::array();
  auto marks = measure_reading(read, options, lengths, rows);
  options.search_pages = 0;  // ObservedMemory searches by itself
  measure_search(read, options, marks, pages, rows);
  return rows;
}

Table table_of(const Json& rows) {
  Table table{fmt::format("Focused memory, {} threads, bfloat16", at::get_num_threads()),
              {"length", "", "measured"}};
  for (const Json& row : rows) {
    const bool is_reading = row.contains("search_pages");
    const auto cell = [&](const char* key) { return row[key].dump(); };
    table.rows.push_back(
        {cell("length"),
         is_reading ? fmt::format("read, {} pages", cell("search_pages"))
                    : fmt::format("layer {}, {} pages", cell("layer"), cell("pages")),
         is_reading
             ? fmt::format("{} tokens/s, {} MiB", cell("tokens_per_second"), cell("peak_rss_mib"))
             : fmt::format("{:.3f} of the softmax, {:.3f} of the best keys",
                           row["mass_ratio"].get<double>(), row["top_keys_ratio"].get<double>())});
  }
  return table;
}

}  // namespace

int memory_bench(int argc, char** argv) {
  cxxopts::Options options(
      "bench memory",
      "Reading a text under focused memory: tokens/s and memory at each length, and at each what a "
      "search for pages finds of attention over all of memory, by 64 queries. Without --text the "
      "tokens are drawn.\n");
  const auto text = [](const char* value) {
    return cxxopts::value<std::string>()->default_value(value);
  };
  const auto count = [](const char* value) {
    return cxxopts::value<int64_t>()->default_value(value);
  };
  options.add_options(
      "",
      {{"model", "Hugging Face model folder", cxxopts::value<std::string>(), "DIR"},
       {"random-weights", "draw them: DIR needs config.json alone, and with --text tokenizer.json"},
       {"layers", "of --random-weights, instead of num_hidden_layers", cxxopts::value<int64_t>(),
        "N"},
       {"text", "a text, or a folder of them", cxxopts::value<std::string>(), "PATH"},
       {"lengths", "tokens", text("32K,64K,128K,256K"), "LIST"},
       {"search-pages", "that reading attends to; 0: all of memory", count("0"), "N"},
       {"pages", "that the searches compared look for", text("16,64,256"), "LIST"},
       {"page-tokens", "", count("64"), "N"},
       {"mem-layers", "default: at a quarter, a half and three quarters of the depth",
        cxxopts::value<std::string>(), "LIST"},
       {"window", "tokens", count("2048"), "N"},
       {"mem-dtype", "", text("bfloat16"), "DTYPE"},
       {"threads", "0: one a core", count("0"), "N"},
       {"json", "print the rows as JSON instead of a table"}});
  auto parsed = parse_bench_options(options, argc, argv, kMemoryBenchExample);
  if (!parsed) return 0;
  if (!parsed->count("model")) {
    fail(ExitCode::kUsage, "bench memory: expected --model; see bench memory -h");
  }
  const Json rows = measure_memory(*parsed);
  fmt::print("{}", parsed->count("json") ? rows.dump(2) + "\n" : text_table(table_of(rows)));
  return 0;
}

}  // namespace longspan
