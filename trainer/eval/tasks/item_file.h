#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "trainer/eval/tasks/item.h"

namespace longspan {

/// The items of a file of one of item_formats(): JSON objects, one a line (.jsonl, also .gz and
/// .zst) or in a list (.json). A record that is not of the format throws Error(kData) with the
/// file, the number of the record and what is wrong.
///
/// plain: {context, question, answers[, metric, choices, max_new_tokens, instruction, subset]}:
/// `answers` is a text or a list, `metric` one of scorers() or "choice", `choices` all answers to
/// choose from. The question is put as "\n\nQuestion: ..\nAnswer:".
/// longbench, longbench_v2, babilong, infinite_bench: the files of these benchmarks, with their
/// scorers, and their prompts but BABILong's, whose question stands alone (LongBench arXiv
/// 2308.14508, 2412.15204; BABILong 2406.10149; InfiniteBench 2402.13718).
std::vector<DrawnItem> read_item_file(const std::filesystem::path& path, const std::string& format);

std::vector<std::string> item_formats();

}  // namespace longspan
