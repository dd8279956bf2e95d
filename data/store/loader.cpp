#include "data/store/loader.h"

#include <algorithm>
#include <numeric>
#include <random>
#include <utility>

#include "data/store/context_buckets.h"
#include "data/store/position_skip.h"
#include "src/core/error.h"
#include "src/core/random.h"
#include "src/core/text.h"

namespace longspan {

namespace {

/// Fisher-Yates.
std::vector<int64_t> shuffled_order(int64_t size, uint64_t seed, int64_t epoch) {
  std::mt19937_64 generator = generator_of(seed, static_cast<uint64_t>(epoch));
  std::vector<int64_t> order(static_cast<size_t>(size));
  std::iota(order.begin(), order.end(), int64_t{0});
  for (size_t i = order.size(); i > 1; --i) {
    std::swap(order[i - 1], order[draw_below(i, generator)]);
  }
  return order;
}

[[noreturn]] void fail_without_rows(const TokenStore& store, const PackerOptions& options) {
  int64_t longest = 0;
  for (const auto& document : store.documents()) longest = std::max(longest, document.tokens);
  std::vector<std::string> wanted;
  if (longest < options.min_document_tokens) {
    wanted.push_back(fmt::format("min_document_tokens wants {} (lower it)",
                                 human_count(options.min_document_tokens)));
  }
  if (!options.kept_documents.empty()) {
    wanted.push_back("data.scores keeps few of them (raise data.keep_share)");
  }
  if (options.passage_rows > 0 && longest <= options.passage_places()) {
    wanted.push_back(fmt::format(
        "{} windows side by side need {} x seq_len + 1 = {} (lower seq_len, or give a shorter "
        "attention.schedule)",
        options.passage_rows, options.passage_rows, human_count(options.passage_places() + 1)));
  } else if (options.only_full_passages && longest <= options.seq_len) {
    wanted.push_back(fmt::format(
        "a full passage needs seq_len + 1 = {} (lower seq_len, or set only_full_passages: false)",
        human_count(options.seq_len + 1)));
  }
  if (wanted.empty()) wanted.push_back("a row needs 2 of one document (prepare longer texts)");
  fail(ExitCode::kData, "{}: none of its {} documents can be used: the longest has {} tokens; {}",
       store.path(), human_count(store.info().documents), human_count(longest),
       join(wanted, ", and "));
}

}  // namespace

Loader::Loader(std::shared_ptr<const TokenStore> store, const LoaderOptions& options)
    : store_(std::move(store)), options_(options) {
  sequences_ = pack(store_->documents(), options.packer, &report_);
  if (sequences_.empty()) fail_without_rows(*store_, options.packer);
  places_by_context_ = longspan::places_by_context(sequences_);
}

const PackedSequence& Loader::row(int64_t index) const {
  const int64_t place = index % sequences();
  if (!options_.shuffle) return sequences_[static_cast<size_t>(place)];
  const int64_t rows = rows_of_passage();
  std::lock_guard lock(mutex_);
  if (int64_t epoch = index / sequences(); epoch != epoch_) {
    order_ = shuffled_order(sequences() / rows, options_.seed, epoch);
    epoch_ = epoch;
  }
  const int64_t passage = order_[static_cast<size_t>(place / rows)];
  return sequences_[static_cast<size_t>(passage * rows + place % rows)];
}

std::vector<int64_t> Loader::rows_over_documents(int64_t count, uint64_t seed) const {
  const auto& documents = store_->documents();
  std::vector<std::vector<int64_t>> rows(documents.size());
  for (int64_t row : shuffled_order(sequences(), seed, 0)) {
    const int64_t offset = sequences_[static_cast<size_t>(row)].pieces.front().offset;
    const auto after = std::upper_bound(
        documents.begin(), documents.end(), offset,
        [](int64_t place, const StoredDocument& document) { return place < document.offset; });
    rows[static_cast<size_t>(after - documents.begin() - 1)].push_back(row);
  }
  const auto order = shuffled_order(static_cast<int64_t>(documents.size()), seed, 1);
  std::vector<int64_t> drawn;
  const auto wanted = static_cast<size_t>(std::min(count, sequences()));
  for (size_t turn = 0; drawn.size() < wanted; ++turn) {
    for (int64_t document : order) {
      const auto& of_document = rows[static_cast<size_t>(document)];
      if (turn < of_document.size() && drawn.size() < wanted) drawn.push_back(of_document[turn]);
    }
  }
  std::sort(drawn.begin(), drawn.end());
  return drawn;
}

int64_t Loader::ignore_unlabelled(const Piece& piece, Batch& batch) const {
  if (store_->info().all_labels) return 0;
  const auto is_label = store_->read_is_label(piece.offset + 1, piece.labels());
  int64_t* labels = &batch.labels.back() - (piece.labels() - 1);
  int64_t ignored = 0;
  for (size_t i = 0; i < is_label.size(); ++i) {
    if (is_label[i] != 0) continue;
    labels[i] = kNoLabel;
    ++ignored;
  }
  return ignored;
}

void Loader::append(const PackedSequence& sequence, int64_t row, Batch& batch) const {
  int64_t document = 0;
  std::mt19937_64 generator = generator_of(options_.seed, static_cast<uint64_t>(row));
  const auto append_positions = [&](int64_t places) {
    const auto positions = skipped_positions(places, options_.target_length, generator);
    batch.position_ids.insert(batch.position_ids.end(), positions.begin(), positions.end());
  };
  for (const auto& piece : sequence.pieces) {
    std::vector<int32_t> ids = store_->read(piece.offset, piece.tokens);
    batch.input_ids.insert(batch.input_ids.end(), ids.begin(), ids.begin() + piece.places());
    batch.labels.insert(batch.labels.end(), ids.begin() + 1, ids.end());
    batch.labelled_tokens += piece.labels() - ignore_unlabelled(piece, batch);
    if (piece.reads_separator) batch.labels.push_back(kNoLabel);
    if (batch.document_mask) append_positions(piece.places());
    batch.document_ids.insert(batch.document_ids.end(), static_cast<size_t>(piece.places()),
                              document++);
  }
  if (!batch.document_mask) append_positions(sequence.places());
  int64_t padding = options_.packer.seq_len - sequence.places();
  batch.input_ids.insert(batch.input_ids.end(), static_cast<size_t>(padding), 0);
  batch.labels.insert(batch.labels.end(), static_cast<size_t>(padding), kNoLabel);
  // Position 0: the largest of the batch chooses the frequencies of some RoPE scalings.
  batch.position_ids.insert(batch.position_ids.end(), static_cast<size_t>(padding), 0);
  batch.document_ids.insert(batch.document_ids.end(), static_cast<size_t>(padding), document);
}

void Loader::require_labels(int64_t labelled_tokens, int64_t first_row, int64_t rows) const {
  if (labelled_tokens > 0) return;
  first_row = begin_of_passage(first_row);
  fail(ExitCode::kData,
       "{}: rows {} to {} ({} an epoch) have no token that is a label, so there is no loss; begin "
       "anew in another output.dir with more rows a step, or with documents in which more is "
       "learned",
       store_->path(), first_row, first_row + rows - 1, sequences());
}

Batch Loader::batch(int64_t first_row, int64_t rows) const {
  Batch batch;
  batch.rows = rows;
  batch.seq_len = options_.packer.seq_len;
  batch.target_length = options_.target_length;
  batch.passage_rows = options_.packer.passage_rows;
  batch.document_mask = options_.packer.document_mask;
  first_row = begin_of_passage(first_row);
  auto size = static_cast<size_t>(batch.rows * batch.seq_len);
  for (auto* field : {&batch.input_ids, &batch.labels, &batch.position_ids, &batch.document_ids}) {
    field->reserve(size);
  }
  for (int64_t r = 0; r < batch.rows; ++r) append(row(first_row + r), first_row + r, batch);
  return batch;
}

}  // namespace longspan
