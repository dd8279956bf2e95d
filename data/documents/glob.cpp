#include "data/documents/glob.h"

#include <glob.h>
#include <locale.h>

#include <algorithm>
#include <set>
#include <string_view>

namespace longspan {

namespace fs = std::filesystem;

namespace {

/// Names are UTF-8 to glob() while it lives, whatever the locale of the program.
class Utf8Names {
 public:
  Utf8Names() : locale_(newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr)) {
    if (locale_ != nullptr) before_ = uselocale(locale_);
  }
  ~Utf8Names() {
    if (locale_ == nullptr) return;
    uselocale(before_);
    freelocale(locale_);
  }
  Utf8Names(const Utf8Names&) = delete;
  Utf8Names& operator=(const Utf8Names&) = delete;

 private:
  locale_t locale_, before_ = nullptr;
};

/// Of one pattern without `**`.
std::vector<fs::path> simple_glob(const std::string& pattern) {
  const Utf8Names names;
  std::vector<fs::path> paths;
  glob_t found{};
  if (glob(pattern.c_str(), GLOB_TILDE | GLOB_BRACE, nullptr, &found) == 0) {
    for (size_t i = 0; i < found.gl_pathc; ++i) paths.emplace_back(found.gl_pathv[i]);
  }
  globfree(&found);
  return paths;
}

/// A pattern that matches the path alone.
std::string escape_glob(const fs::path& path) {
  std::string pattern;
  for (char c : path.string()) {
    if (std::string_view("*?[]{},~\\").find(c) != std::string_view::npos) pattern += '\\';
    pattern += c;
  }
  return pattern;
}

using Visitor = std::function<void(const fs::directory_entry&)>;

/// Calls `visit` for each entry below `folder`; a folder is entered where `enters` says so, and
/// where it was not before.
void walk(const fs::path& folder, std::set<fs::path>& seen, Notices& unreachable,
          const std::function<bool(const fs::path&)>& enters, const Visitor& visit) {
  std::error_code error;
  if (!seen.insert(fs::canonical(folder, error)).second) return;
  fs::directory_iterator entries(folder, error);
  if (error) {
    unreachable.add(folder.string() + ": " + error.message());
    return;
  }
  for (const auto& entry : entries) {
    std::error_code status;
    const bool is_folder = entry.is_directory(status);
    if (entry.is_symlink(status) && !entry.exists(status)) {
      unreachable.add(entry.path().string() + ": leads nowhere");
      continue;
    }
    visit(entry);
    if (is_folder && enters(entry.path())) walk(entry.path(), seen, unreachable, enters, visit);
  }
}

bool is_hidden(const fs::path& path) { return path.filename().string().starts_with('.'); }

/// `prefix`/**/`rest`; an empty prefix is the working folder, an empty rest takes all there is.
void expand_stars(const std::string& prefix, const std::string& rest, Notices& unreachable,
                  std::vector<fs::path>& paths) {
  std::vector<fs::path> folders;
  for (const auto& place : prefix.empty() ? std::vector<fs::path>{"."} : simple_glob(prefix)) {
    std::error_code status;
    if (!fs::is_directory(place, status)) continue;
    folders.push_back(place);
    std::set<fs::path> seen;
    walk(
        place, seen, unreachable, [](const fs::path& folder) { return !is_hidden(folder); },
        [&](const fs::directory_entry& entry) {
          std::error_code none;
          if (is_hidden(entry.path())) return;
          if (entry.is_directory(none)) {
            folders.push_back(entry.path());
          } else if (rest.empty()) {
            paths.push_back(entry.path());
          }
        });
  }
  if (rest.empty()) return;
  for (const auto& folder : folders) {
    for (auto& path : expand_glob(escape_glob(folder) + "/" + rest, unreachable)) {
      paths.push_back(path.lexically_normal());
    }
  }
}

}  // namespace

void visit_files(const fs::path& folder, Notices& unreachable,
                 const std::function<void(const fs::path&)>& visit) {
  std::set<fs::path> seen;
  walk(
      folder, seen, unreachable, [](const fs::path&) { return true; },
      [&](const fs::directory_entry& entry) {
        std::error_code status;
        if (!entry.is_directory(status)) visit(entry.path());
      });
}

std::vector<fs::path> expand_glob(const std::string& pattern, Notices& unreachable) {
  // The first part between slashes that is `**`.
  for (size_t at = 0; at <= pattern.size();) {
    const size_t end = std::min(pattern.find('/', at), pattern.size());
    if (pattern.compare(at, end - at, "**") == 0) {
      std::vector<fs::path> paths;
      const std::string prefix = pattern.substr(0, at == 1 ? 1 : at == 0 ? 0 : at - 1);
      const std::string rest = end < pattern.size() ? pattern.substr(end + 1) : "";
      expand_stars(prefix, rest, unreachable, paths);
      return paths;
    }
    at = end + 1;
  }
  return simple_glob(pattern);
}

}  // namespace longspan
