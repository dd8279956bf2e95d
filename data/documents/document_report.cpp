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

void Notices::add(const Notices& others) {
  const int64_t whole = count_ + others.count_;
  for (const auto& place : others.first_) add(place);
  count_ = whole;
}

std::vector<std::string> Notices::lines() const {
  std::vector<std::string> lines = printable_values(first_);
  const int64_t more = count_ - static_cast<int64_t>(first_.size());
  if (more > 0) lines.push_back(fmt::format("and {} more", human_count(more)));
  return lines;
}

void log_warnings(const DocumentReport& report) {
  if (const auto& files = report.unclaimed_files; files.count() > 0) {
    log_warning_once("files passed over, as no format claims their ending: {}: {}; read are {}",
                     human_count(files.count()), fmt::join(files.lines(), ", "),
                     document_endings());
  }
  if (const auto& files = report.unreachable_files; files.count() > 0) {
    log_warning_once("links and folders passed over: {}: {}", human_count(files.count()),
                     fmt::join(files.lines(), ", "));
  }
  if (const auto& files = report.bad_files; files.count() > 0) {
    log_warning_once("bad files passed over: {}:\n  {}", human_count(files.count()),
                     fmt::join(files.lines(), "\n  "));
  }
  if (const auto& records = report.bad_records; records.count() > 0) {
    log_warning_once("bad records passed over: {}:\n  {}", human_count(records.count()),
                     fmt::join(records.lines(), "\n  "));
  }
  if (report.empty_documents > 0) {
    log_warning_once("{} empty documents were left out", human_count(report.empty_documents));
  }
  if (report.replaced_sequences > 0) {
    log_warning_once(
        "{} sequences were no UTF-8, or \\u0000 or half a surrogate pair in a record, "
        "and became U+FFFD: {}",
        human_count(report.replaced_sequences), fmt::join(report.repaired_files.lines(), ", "));
  }
}

}  // namespace longspan
