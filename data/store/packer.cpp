#include "data/store/packer.h"

#include <algorithm>
#include <set>
#include <tuple>
#include <utility>

#include "src/core/error.h"

namespace longspan {

namespace {

/// Rests into rows, the longest first, each into the fullest row that still takes it.
void pack_best_fit_decreasing(std::vector<Piece> rests, int64_t seq_len,
                              std::vector<PackedSequence>& sequences) {
  std::sort(rests.begin(), rests.end(), [](const Piece& a, const Piece& b) {
    return std::tuple(-a.tokens, a.offset) < std::tuple(-b.tokens, b.offset);
  });
  std::set<std::pair<int64_t, size_t>> open;  // free places, row
  for (const auto& rest : rests) {
    auto fitting = open.lower_bound({rest.places(), 0});
    int64_t free = seq_len;
    size_t row = sequences.size();
    if (fitting == open.end()) {
      sequences.emplace_back();
    } else {
      std::tie(free, row) = *fitting;
      open.erase(fitting);
    }
    sequences[row].pieces.push_back(rest);
    free -= rest.places();
    if (free > 0) open.emplace(free, row);
  }
}

}  // namespace

int64_t PackedSequence::places() const {
  int64_t sum = 0;
  for (const auto& piece : pieces) sum += piece.places();
  return sum;
}

std::vector<PackedSequence> pack(const std::vector<StoredDocument>& documents,
                                 const PackerOptions& options, PackingReport* report) {
  if (options.seq_len < 1) {
    fail(ExitCode::kData, "packer: seq_len is {}, expected at least 1", options.seq_len);
  }
  const int64_t passage = options.passage_places();
  std::vector<PackedSequence> sequences;
  std::vector<Piece> rests;
  PackingReport counts;
  for (size_t i = 0; i < documents.size(); ++i) {
    const StoredDocument& document = documents[i];
    const bool is_kept = options.kept_documents.empty() || options.kept_documents[i];
    if (!is_kept || document.tokens < 2 || document.tokens < options.min_document_tokens) {
      ++counts.dropped_documents;
      counts.dropped_tokens += document.tokens;
      continue;
    }
    int64_t offset = document.offset;
    int64_t places = document.tokens - 1;
    for (; places >= passage; places -= passage) {
      for (int64_t end = offset + passage; offset < end; offset += options.seq_len) {
        sequences.push_back({{{offset, options.seq_len + 1}}});
      }
    }
    if (places > 0 && (options.only_full_passages || options.passage_rows > 0)) {
      bool whole = offset == document.offset;
      counts.dropped_documents += whole;
      counts.dropped_tokens += whole ? document.tokens : places;
    } else if (places > 0) {
      rests.push_back({offset, places + 1, /*reads_separator=*/!options.document_mask});
    }
  }
  counts.full_passages = static_cast<int64_t>(sequences.size());
  pack_best_fit_decreasing(std::move(rests), options.seq_len, sequences);
  counts.sequences = static_cast<int64_t>(sequences.size());
  for (const auto& sequence : sequences) {
    counts.padding_tokens += options.seq_len - sequence.places();
  }
  if (report != nullptr) *report = counts;
  return sequences;
}

}  // namespace longspan
