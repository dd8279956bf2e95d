#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "data/store/batch.h"
#include "data/store/packer.h"
#include "data/store/token_store.h"

namespace longspan {

/// What decides the rows, and in which order they come.
struct LoaderOptions {
  PackerOptions packer;
  uint64_t seed = 0;
  bool shuffle = true;  // a new order of the passages each epoch, drawn from seed and epoch
  /// Positions of each piece, or of a row without document mask, skip as those of a text of so many
  /// tokens (position_skip.h), drawn from seed and row; 0: they follow each other.
  int64_t target_length = 0;
};

/// Batches of the endless sequence of epochs, as a pure function of their rows: the same in every
/// run and with every standard library, so resuming at step N costs nothing and needs no state but
/// N. Thread-safe.
class Loader {
 public:
  /// Throws Error(kData) when the store yields no sequence, and says how long its longest document
  /// is and what the options want.
  Loader(std::shared_ptr<const TokenStore> store, const LoaderOptions& options);

  /// Begins with a whole passage: with the first at or behind `first_row`.
  Batch batch(int64_t first_row, int64_t rows = 1) const;
  /// Throws Error(kData) that names the rows when `labelled_tokens`, the sum over their batches, is
  /// 0: their mean loss is none.
  void require_labels(int64_t labelled_tokens, int64_t first_row, int64_t rows) const;
  int64_t sequences() const { return report_.sequences; }  // rows an epoch
  const PackingReport& report() const { return report_; }
  /// Tokens of an epoch by how much of their document stands before them (context_buckets.h).
  const std::vector<int64_t>& places_by_context() const { return places_by_context_; }
  /// `count` rows of a loader that does not shuffle (all where it has fewer), ascending: drawn from
  /// `seed`, one of each document before a second of any. A row of several counts for its first.
  std::vector<int64_t> rows_over_documents(int64_t count, uint64_t seed) const;

 private:
  int64_t rows_of_passage() const {
    return options_.packer.passage_rows > 0 ? options_.packer.passage_rows : 1;
  }
  /// Rows before `row` may have been another stage's, which had no passages to keep whole.
  int64_t begin_of_passage(int64_t row) const {
    return (row + rows_of_passage() - 1) / rows_of_passage() * rows_of_passage();
  }
  const PackedSequence& row(int64_t index) const;
  /// Makes the labels of the piece, which stand at the end of the batch, kNoLabel where the
  /// token is no label; says how many.
  int64_t ignore_unlabelled(const Piece& piece, Batch& batch) const;
  void append(const PackedSequence& sequence, int64_t row, Batch& batch) const;

  std::shared_ptr<const TokenStore> store_;
  LoaderOptions options_;
  PackingReport report_;
  std::vector<PackedSequence> sequences_;
  std::vector<int64_t> places_by_context_;

  mutable std::mutex mutex_;
  mutable int64_t epoch_ = -1;  // of order_
  mutable std::vector<int64_t> order_;
};

}  // namespace longspan
