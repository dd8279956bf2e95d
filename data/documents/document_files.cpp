#include "data/documents/document_files.h"

#include <glob.h>

#include <algorithm>
#include <set>

#include "data/documents/document_source.h"
#include "src/core/error.h"

namespace longspan {

namespace fs = std::filesystem;

namespace {

constexpr const char* kEndings = ".txt, .md, .tex or .jsonl, each also with .gz or .zst behind it";

bool is_document(const fs::path& path) {
  fs::path name = path.filename();
  if (name.extension() == ".gz" || name.extension() == ".zst") name = name.stem();
  fs::path ending = name.extension();
  return ending == ".txt" || ending == ".md" || ending == ".tex" || ending == ".jsonl";
}

std::vector<fs::path> files_below(const fs::path& folder) {
  std::vector<fs::path> files;
  try {
    for (const auto& entry : fs::recursive_directory_iterator(folder)) {
      std::error_code status;  // of a link that leads nowhere or in a circle, which is passed over
      if (is_document(entry.path()) && entry.is_regular_file(status)) files.push_back(entry.path());
    }
  } catch (const fs::filesystem_error& e) {
    fail(ExitCode::kData, "{}: cannot list the folder: {}", folder.string(), e.code().message());
  }
  return files;
}

std::vector<fs::path> files_matching(const std::string& pattern) {
  std::vector<fs::path> files;
  glob_t found{};
  if (glob(pattern.c_str(), GLOB_TILDE, nullptr, &found) == 0) {
    for (size_t i = 0; i < found.gl_pathc; ++i) {
      fs::path path = found.gl_pathv[i];
      std::error_code status;
      if (fs::is_directory(path, status)) {
        auto below = files_below(path);
        files.insert(files.end(), below.begin(), below.end());
      } else if (is_document(path)) {
        files.push_back(path);
      }
    }
  }
  globfree(&found);
  return files;
}

std::vector<fs::path> files_of(const std::string& input) {
  std::error_code status;
  std::vector<fs::path> files;
  if (fs::is_directory(input, status)) {
    files = files_below(input);
  } else if (fs::exists(input, status)) {
    if (!is_document(input)) {
      fail(ExitCode::kData, "{}: has an ending that is not known, expected {}", input, kEndings);
    }
    files.push_back(input);
  } else if (input.find_first_of("*?[") != input.npos) {
    files = files_matching(input);
  } else {
    fail(ExitCode::kData, "{}: no such file or folder", input);
  }
  if (files.empty()) {
    fail(ExitCode::kData, "{}: holds no documents, expected files that end in {}", input, kEndings);
  }
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace

std::vector<fs::path> find_document_files(const std::vector<std::string>& inputs) {
  std::vector<fs::path> files;
  std::set<fs::path> seen;
  for (const auto& input : inputs) {
    for (auto& file : files_of(input)) {
      std::error_code status;
      fs::path real = fs::canonical(file, status);
      if (seen.insert(status ? file : real).second) files.push_back(std::move(file));
    }
  }
  if (files.empty()) fail(ExitCode::kData, "no input is given, expected files or folders");
  return files;
}

}  // namespace longspan
