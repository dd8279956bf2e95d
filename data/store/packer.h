#pragma once

#include <cstdint>
#include <vector>

#include "data/store/token_store.h"

namespace longspan {

/// A run of tokens of one document. Its first tokens - 1 are inputs and its last tokens - 1 their
/// labels, so it fills tokens - 1 places of a row.
struct Piece {
  int64_t offset = 0;            // in the token store
  int64_t tokens = 0;            // at least 2
  bool reads_separator = false;  // its last token fills a place too, without a label

  int64_t labels() const { return tokens - 1; }
  int64_t places() const { return labels() + (reads_separator ? 1 : 0); }
};

/// What fills one row of a batch: one long passage, or pieces of different documents.
struct PackedSequence {
  std::vector<Piece> pieces;

  int64_t places() const;  // at most seq_len; what is left is padding
};

/// Which documents are packed, and into what rows.
struct PackerOptions {
  int64_t seq_len = 8192;
  int64_t min_document_tokens = 1;        // shorter documents are left out
  bool only_full_passages = false;        // true: no row that mixes documents or is padded
  std::vector<bool> kept_documents = {};  // false: that document is left out; empty: none is
  /// Rows that a passage fills, side by side, for an attention that goes from one to the next;
  /// there are full passages alone then. 0: a passage is a row.
  int64_t passage_rows = 0;
  /// false: a row's documents see those before them, from which the last token of each (prepare
  /// appends EOS) separates them.
  bool document_mask = true;

  int64_t passage_places() const { return seq_len * (passage_rows > 0 ? passage_rows : 1); }
};

/// What became of the documents of one epoch.
struct PackingReport {
  int64_t sequences = 0;
  int64_t full_passages = 0;  // rows that are one unbroken passage, or a part of one
  int64_t padding_tokens = 0;
  int64_t dropped_documents = 0;  // of which no token is used
  int64_t dropped_tokens = 0;     // which are neither input nor label
};

/// Cuts each document into passages of seq_len + 1 tokens (the last token of one is the first of
/// the next, so each token but the first of a document is a label once), then packs the rests
/// best-fit decreasing (Johnson 1973). With passage_rows a passage has that many times seq_len + 1
/// tokens, and becomes as many rows in turn. A pure function of documents and options.
std::vector<PackedSequence> pack(const std::vector<StoredDocument>& documents,
                                 const PackerOptions& options, PackingReport* report = nullptr);

}  // namespace longspan
