#include "data/documents/document_report.h"

#include <utility>

#include "data/documents/document_format.h"
#include "src/core/log.h"
#include "src/core/text.h"

namespace longspan {

void Notices::add(std::string place) {
  constexpr size_t kNamed = 3;
  if (first_.size() < kNamed) first_.push_back(std::move(place));
  ++count_;
}

std::string Notices::to_string(const char* separator) const {
  std::string text = fmt::format("{}", fmt::join(first_, separator));
  const int64_t more = count_ - static_cast<int64_t>(first_.size());
  return more > 0 ? text + fmt::format("{}and {} more", separator, human_count(more)) : text;
}

void log_warnings(const DocumentReport& report) {
  if (const auto& files = report.unclaimed_files; files.count() > 0) {
    log_warning(
        fmt::format("files passed over, as no format claims their ending: {}: {}; read are {}",
                    human_count(files.count()), files.to_string(), document_endings()));
  }
  if (const auto& files = report.unreachable_files; files.count() > 0) {
    log_warning(fmt::format("links and folders passed over: {}: {}", human_count(files.count()),
                            files.to_string()));
  }
  if (const auto& files = report.bad_files; files.count() > 0) {
    log_warning(fmt::format("bad files passed over: {}:\n  {}", human_count(files.count()),
                            files.to_string("\n  ")));
  }
  if (const auto& records = report.bad_records; records.count() > 0) {
    log_warning(fmt::format("bad records passed over: {}:\n  {}", human_count(records.count()),
                            records.to_string("\n  ")));
  }
  if (report.empty_documents > 0) {
    log_warning(
        fmt::format("{} empty documents were left out", human_count(report.empty_documents)));
  }
  if (report.replaced_sequences > 0) {
    log_warning(
        fmt::format("{} sequences were no UTF-8, or \\u0000 or half a surrogate pair in a record, "
                    "and became U+FFFD: {}",
                    human_count(report.replaced_sequences), report.repaired_files.to_string()));
  }
}

}  // namespace longspan
