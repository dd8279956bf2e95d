#pragma once

#include <string>
#include <vector>

#include "src/attention/cross_batch.h"
#include "src/attention/mem_dtype.h"
#include "src/attention/reading_windows.h"
#include "src/core/fields.h"

namespace longspan {

/// Of focused memory; in LongLLaMA's words, where it has any.
struct FocusedMemoryOptions {
  std::vector<int64_t> mem_layers = {};  // from 0
  WindowLengths lengths = {};
  bool mem_positionals = true;  // false: memory layers turn nothing, their own window neither
  MemDtype mem_dtype = MemDtype::kBFloat16;
  std::string mem_dir = {};  // keeps memory in a file there; empty: in RAM
  int64_t search_pages = 0;  // of memory that queries attend to; 0: all
  int64_t search_page_tokens = 64;
  std::vector<int64_t> mem_attention_grouping = {};  // heads and queries; empty: none
  CrossBatchSchedule schedule = long_llama_3b_schedule();

  bool is_memory_layer(int64_t layer) const;
};

/// The heads and the queries of `mem_attention_grouping`, as LongLLaMA's code takes them: two
/// numbers from 1, or none.
void read_mem_attention_grouping(Fields& map, std::vector<int64_t>& grouping);

}  // namespace longspan
