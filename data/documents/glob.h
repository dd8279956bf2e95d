#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "data/documents/document_report.h"

namespace longspan {

/// What is in `folder` and in all folders below, linked ones too, each folder once: calls `visit`
/// for each entry that is no folder. Those that cannot be followed are added to `unreachable`.
void visit_files(const std::filesystem::path& folder, Notices& unreachable,
                 const std::function<void(const std::filesystem::path&)>& visit);

/// The files and folders whose names match `pattern` as in a shell with globstar, unsorted: `*`,
/// `?` (one character of UTF-8), `[a-z]`, `{a,b}`, `~`, and `**` for folders of any depth. Names
/// that begin with a dot are matched by a dot alone.
std::vector<std::filesystem::path> expand_glob(const std::string& pattern, Notices& unreachable);

}  // namespace longspan
