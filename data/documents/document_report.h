#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace longspan {

/// Things of one kind that happened while documents were read: all counted, the first ones named.
class Notices {
 public:
  void add(std::string place);
  void add(const Notices& others);
  int64_t count() const { return count_; }
  const std::vector<std::string>& first() const { return first_; }
  /// "a.png", "b.pdf", "c.doc", "and 4 more", each fit for a terminal.
  std::vector<std::string> lines() const;

 private:
  int64_t count_ = 0;
  std::vector<std::string> first_;
};

/// What was not taken as it stands.
struct DocumentReport {
  Notices unclaimed_files;      // whose ending no format claims
  Notices unreachable_files;    // links that lead nowhere, folders that cannot be listed
  Notices bad_files;            // passed over, or read up to the fault; with the reason
  Notices bad_records;          // passed over; with the reason
  Notices repaired_files;       // with the number of replaced_sequences
  int64_t empty_documents = 0;  // of white space alone, passed over
  /// Sequences of bytes that were no UTF-8, and escapes "\u0000" or of half a surrogate pair in a
  /// record, each of which became U+FFFD.
  int64_t replaced_sequences = 0;
};

/// A warning for each kind that occurred.
void log_warnings(const DocumentReport& report);

}  // namespace longspan
