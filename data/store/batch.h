#pragma once

#include <cstdint>
#include <vector>

namespace longspan {

inline constexpr int64_t kNoLabel = -100;  // not scored: kIgnoreIndex of the loss

/// rows x seq_len tokens, row by row.
struct Batch {
  int64_t rows = 0;
  int64_t seq_len = 0;
  std::vector<int64_t> input_ids;
  std::vector<int64_t> labels;        // the next token of the same document, or kNoLabel
  std::vector<int64_t> position_ids;  // restart at 0 with each document that is masked
  std::vector<int64_t> document_ids;  // 0, 1, ... within a row; padding is a document of its own
  int64_t labelled_tokens = 0;
  int64_t target_length = 0;  // of the texts whose positions skipping takes; 0: none are skipped
  int64_t passage_rows = 0;   // rows of one document, side by side; 0: rows are texts of their own
  bool document_mask = true;  // false: tokens see the documents before their own in the row too
};

}  // namespace longspan
