#include <fmt/ranges.h>

#include <algorithm>

#include "src/attention/focused_memory.h"
#include "src/attention/layer_list.h"

namespace longspan {

namespace {

constexpr int64_t kMost = int64_t{1} << 30;

constexpr const char* kGroupingKey = "mem_attention_grouping";

Json whole_numbers(int64_t least) {
  return {{"type", "array"}, {"items", {{"type", "integer"}, {"minimum", least}}}};
}

void mem_dtype_field(FieldsIo& io, MemDtype& dtype) {
  std::string name = name_of(dtype);
  io.choice("mem_dtype", name, mem_dtype_names(), "in which form memory keeps keys and values");
  const auto names = mem_dtype_names();
  if (std::ranges::find(names, name) != names.end()) dtype = mem_dtype_named(name);
}

void mem_attention_grouping_field(FieldsIo& io, std::vector<int64_t>& grouping) {
  io.put(
      kGroupingKey, grouping, whole_numbers(1),
      "heads and queries that LongLLaMA's own code scores at once; handed on to config.json alone",
      {.otherwise = "none", .written = !grouping.empty()});
  if (Fields* map = io.reading()) read_mem_attention_grouping(*map, grouping);
}

Json written(const CrossBatchSchedule& schedule) {
  Json list = Json::array();
  for (const auto& [positives, negatives] : schedule) list.push_back({positives, negatives});
  return list;
}

void schedule_field(FieldsIo& io, CrossBatchSchedule& schedule) {
  constexpr const char* kKey = "schedule";
  io.put(kKey, written(schedule), {{"type", "array"}, {"items", whole_numbers(0)}},
         "in training, for each of the windows of a document that lie side by side in a batch: how "
         "many windows before it in its document, and how many of other documents, its memory "
         "layers attend to",
         {});
  Fields* map = io.reading();
  if (!map || !map->has(kKey)) return;
  Json list;
  map->optional(kKey, list);
  constexpr const char* kExpected =
      "expected a list of pairs such as [[0, 0], [1, 1], [2, 1], [3, 0]]: windows of the own "
      "document, at most as many as come before, and windows of others";
  CrossBatchSchedule read;
  if (list.is_array()) {
    for (const Json& entry : list) {
      if (!entry.is_array() || entry.size() != 2) break;
      const bool whole = entry[0].is_number_integer() && entry[1].is_number_integer();
      const int64_t positives = whole ? entry[0].get<int64_t>() : -1;
      const int64_t negatives = whole ? entry[1].get<int64_t>() : -1;
      if (positives < 0 || positives > std::ssize(read) || negatives < 0 || negatives > kMost)
        break;
      read.push_back({positives, negatives});
    }
  }
  if (!list.is_array() || read.empty() || read.size() != list.size()) {
    return map->error(kKey, fmt::format("entry {} does not fit; {}", read.size(), kExpected));
  }
  schedule = std::move(read);
}

}  // namespace

void read_mem_attention_grouping(Fields& map, std::vector<int64_t>& grouping) {
  map.optional(kGroupingKey, grouping);
  const bool fits = std::ranges::all_of(grouping, [](int64_t x) { return x > 0; });
  if (grouping.empty() || (grouping.size() == 2 && fits)) return;
  map.error(kGroupingKey,
            fmt::format("has {}; expected two numbers from 1, of heads and of queries, such as "
                        "[4, 2048]",
                        grouping));
}

void FocusedMemoryAttention::fields(FieldsIo& io) {
  WindowLengths& lengths = options_.lengths;
  layers_field(io, "mem_layers", options_.mem_layers,
               "the layers that have a memory, from 0");
  io.whole("window", lengths.window, {2, kMost},
           "how many tokens are read or trained at a time, in training `seq_len`");
  if (io.reading() && !io.given("last_context_length")) lengths = lengths.fitted();
  io.whole("last_context_length", lengths.last_context, {1, kMost},
           "of a text that is read at once, the tokens of its last window",
           {.otherwise = "1024, or half a window that is shorter"});
  if (lengths.last_context > lengths.window) {
    io.error("last_context_length",
             fmt::format("{} do not fit a window of {}", lengths.last_context, lengths.window));
  }
  io.flag("mem_positionals", options_.mem_positionals,
          "`false`: memory layers know no positions, not even in their own window");
  mem_dtype_field(io, options_.mem_dtype);
  io.text("mem_dir", options_.mem_dir, "a folder on a disk; memory is kept in a file there",
          {.otherwise = "in RAM", .written = !options_.mem_dir.empty()});
  const bool searches = options_.search_pages > 0 || !io.writing();
  io.whole(
      "search_pages", options_.search_pages, {0, kMost},
      "pages of memory that a query attends to, or each 64 of a longer pass, found by bounds of "
      "their scores; 0: all",
      {.written = searches});
  io.whole("search_page_tokens", options_.search_page_tokens, {1, kMost}, "tokens of a page",
           {.written = searches});
  mem_attention_grouping_field(io, options_.mem_attention_grouping);
  schedule_field(io, options_.schedule);
}

}  // namespace longspan
