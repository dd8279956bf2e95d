#include "data/documents/document_files.h"

#include <algorithm>
#include <set>

#include "data/documents/document_format.h"
#include "data/documents/glob.h"
#include "src/core/error.h"

namespace longspan {

namespace fs = std::filesystem;

namespace {

/// Adds to `files` what a document format claims.
void add_claimed(const fs::path& path, DocumentFiles& files) {
  if (find_document_format(path) != nullptr) {
    files.paths.push_back(path);
  } else {
    files.unclaimed.add(path.string());
  }
}

void add_below(const fs::path& folder, DocumentFiles& files) {
  std::error_code error;
  fs::directory_iterator readable(folder, error);
  if (error) {
    fail(ExitCode::kData, "{}: cannot list the folder: {}", folder.string(), error.message());
  }
  visit_files(folder, files.unreachable, [&](const fs::path& path) { add_claimed(path, files); });
}

void add_matching(const std::string& pattern, DocumentFiles& files) {
  for (const auto& path : expand_glob(pattern, files.unreachable)) {
    std::error_code status;
    if (fs::is_directory(path, status)) {
      add_below(path, files);
    } else {
      add_claimed(path, files);
    }
  }
}

/// Of one input, sorted.
DocumentFiles files_of(const std::string& input) {
  DocumentFiles files;
  std::error_code status;
  if (fs::is_directory(input, status)) {
    add_below(input, files);
  } else if (fs::exists(input, status)) {
    if (find_document_format(input) == nullptr) {
      fail(ExitCode::kData, "{}: has an ending that is not known, expected {}", input,
           document_endings());
    }
    files.paths.emplace_back(input);
  } else if (input.find_first_of("*?[{") != input.npos) {
    add_matching(input, files);
  } else {
    fail(ExitCode::kData, "{}: no such file or folder", input);
  }
  if (files.paths.empty()) {
    fail(ExitCode::kData, "{}: holds no documents, expected files that end in {}; there is {}",
         input, document_endings(),
         files.unclaimed.count() > 0 ? fmt::format("{}", fmt::join(files.unclaimed.lines(), ", "))
                                     : std::string("nothing"));
  }
  std::ranges::sort(files.paths);
  return files;
}

}  // namespace

DocumentFiles find_document_files(const std::vector<std::string>& inputs) {
  DocumentFiles files;
  for (const auto& input : inputs) {
    const DocumentFiles more = files_of(input);
    files.paths.insert(files.paths.end(), more.paths.begin(), more.paths.end());
    files.unclaimed.add(more.unclaimed);
    files.unreachable.add(more.unreachable);
  }
  if (files.paths.empty()) fail(ExitCode::kData, "no input is given, expected files or folders");
  std::set<fs::path> seen;
  std::erase_if(files.paths, [&](const fs::path& path) {
    std::error_code status;
    const fs::path real = fs::canonical(path, status);
    return !seen.insert(status ? path : real).second;
  });
  return files;
}

}  // namespace longspan
