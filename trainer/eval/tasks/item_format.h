#pragma once

#include <filesystem>
#include <span>
#include <string_view>
#include <vector>

#include "src/core/fields.h"
#include "trainer/eval/tasks/item.h"

namespace longspan {

/// A record on its way to an item.
struct ItemRecord {
  const Json& json;
  Fields& fields;                     // of the record: what is missing or wrong goes there
  const std::filesystem::path& file;  // some benchmarks name the task by it
  const std::vector<Json>& all;       // the records of the file
};

/// How the files of one benchmark are read: a file and a line in item_file.cpp.
struct ItemFormat {
  std::string_view name;
  DrawnItem (*read)(const ItemRecord& record);
};

DrawnItem read_plain_item(const ItemRecord& record);
DrawnItem read_longbench_item(const ItemRecord& record);
DrawnItem read_longbench_v2_item(const ItemRecord& record);
DrawnItem read_babilong_item(const ItemRecord& record);
DrawnItem read_infinite_bench_item(const ItemRecord& record);

/// A text, or a list of texts of which there is at least one. A number is its text.
std::vector<std::string> required_texts(const ItemRecord& record, std::string_view key);

/// Sets answers to the right one and distractors to the other choices, to be ranked by their loss.
/// A right answer that is no choice is an error of `key`.
void set_choices(Question& question, const std::vector<std::string>& choices,
                 const std::string& right, const ItemRecord& record, std::string_view key);

}  // namespace longspan
