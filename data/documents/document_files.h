#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "data/documents/document_report.h"

namespace longspan {

/// Files to read, and what was passed over on the way to them.
struct DocumentFiles {
  std::vector<std::filesystem::path> paths;
  Notices unclaimed{}, unreachable{};  // see DocumentReport
};

/// The files named by `inputs` (files, folders searched all the way down, globs), sorted within
/// each input, each once: those that a document format claims. Throws Error(kData) when an input
/// matches none or a named file has another ending.
DocumentFiles find_document_files(const std::vector<std::string>& inputs);

}  // namespace longspan
