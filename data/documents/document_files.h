#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace longspan {

/// The files named by `inputs` (files, folders searched all the way down, globs), sorted within
/// each input, each once: .txt .md .tex .jsonl, each also .gz or .zst. Throws Error(kData) when an
/// input matches nothing or a named file has another ending.
std::vector<std::filesystem::path> find_document_files(const std::vector<std::string>& inputs);

}  // namespace longspan
