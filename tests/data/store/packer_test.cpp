#include "data/store/packer.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

#include "tests/data/temporary_folder.h"

namespace longspan {
namespace {

std::vector<StoredDocument> documents_of(const std::vector<int64_t>& lengths) {
  std::vector<StoredDocument> documents;
  int64_t offset = 0;
  for (int64_t tokens : lengths) {
    documents.push_back({"d", offset, tokens});
    offset += tokens;
  }
  return documents;
}

std::vector<StoredDocument> random_documents(unsigned seed) {
  std::mt19937 draw(seed);
  std::vector<int64_t> lengths(200);
  for (auto& length : lengths) length = draw() % (draw() % 5 == 0 ? 400 : 40);
  return documents_of(lengths);
}

TEST(Packer, LeavesOutDocumentsThatAreNotKept) {
  PackingReport report;
  const auto rows = pack(documents_of({9, 17, 5}),
                         {.seq_len = 8, .kept_documents = {true, false, true}}, &report);
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0].pieces[0].offset, 0);
  EXPECT_EQ(rows[1].pieces[0].offset, 9 + 17);
  EXPECT_EQ(report.dropped_documents, 1);
  EXPECT_EQ(report.dropped_tokens, 17);
}

TEST(Packer, MakesEachTokenButTheFirstOfADocumentALabelOnce) {
  auto documents = random_documents(1);
  PackingReport report;
  std::map<int64_t, int> labels, inputs;
  for (const auto& row : pack(documents, {.seq_len = 64}, &report)) {
    EXPECT_LE(row.places(), 64);
    for (const auto& piece : row.pieces) {
      for (int64_t t = 0; t < piece.places(); ++t) {
        ++inputs[piece.offset + t];
        ++labels[piece.offset + t + 1];
      }
    }
  }
  for (const auto& document : documents) {
    for (int64_t t = 0; t < document.tokens; ++t) {
      EXPECT_EQ(labels[document.offset + t], t > 0);
      EXPECT_EQ(inputs[document.offset + t], t + 1 < document.tokens);
    }
  }
}

TEST(Packer, CutsAPassageOfSeveralRowsIntoWindowsSideBySide) {
  PackingReport report;
  const auto rows = pack(documents_of({33, 5, 12, 20}), {.seq_len = 4, .passage_rows = 3}, &report);
  std::vector<int64_t> offsets;
  for (const auto& row : rows) {
    ASSERT_EQ(row.pieces.size(), 1u);
    EXPECT_EQ(row.pieces[0].tokens, 5);
    offsets.push_back(row.pieces[0].offset);
  }
  // 33 tokens have two passages of 3 x 4 + 1, 20 have one, 12 have none.
  EXPECT_EQ(offsets, (std::vector<int64_t>{0, 4, 8, 12, 16, 20, 50, 54, 58}));
  EXPECT_EQ(report.sequences, 9);
  EXPECT_EQ(report.padding_tokens, 0);
  EXPECT_EQ(report.dropped_documents, 2);
  EXPECT_EQ(report.dropped_tokens, 8 + 5 + 12 + 7);
}

TEST(Packer, KeepsEachPieceInsideOneDocument) {
  auto documents = random_documents(2);
  for (const auto& row : pack(documents, {.seq_len = 50})) {
    for (const auto& piece : row.pieces) {
      bool inside = false;
      for (const auto& d : documents) {
        inside |= piece.offset >= d.offset && piece.offset + piece.tokens <= d.offset + d.tokens;
      }
      EXPECT_TRUE(inside);
      EXPECT_GE(piece.tokens, 2);
    }
  }
}

TEST(Packer, FillsEachRestIntoTheFullestRowThatTakesIt) {
  // Places 6, 5, 4, 3, 2 into rows of 10: {6, 4}, {5, 3, 2}.
  PackingReport report;
  auto rows = pack(documents_of({3, 4, 5, 6, 7}), {.seq_len = 10}, &report);
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0].pieces.size(), 2u);
  EXPECT_EQ(rows[1].pieces.size(), 3u);
  EXPECT_EQ(report.padding_tokens, 0);
}

TEST(Packer, ReportsWhatItDidAndDropped) {
  PackingReport report;
  // 0, 1: nothing to predict. 5: too short. 33: two full passages. 20: one and a rest of 3 places.
  pack(documents_of({0, 1, 5, 33, 20}), {.seq_len = 16, .min_document_tokens = 6}, &report);
  EXPECT_EQ(report.dropped_documents, 3);
  EXPECT_EQ(report.dropped_tokens, 6);
  EXPECT_EQ(report.full_passages, 3);
  EXPECT_EQ(report.sequences, 4);
  EXPECT_EQ(report.padding_tokens, 13);
}

TEST(Packer, GivesOnlyFullPassagesOnDemand) {
  PackingReport report;
  auto rows = pack(documents_of({33, 20, 7}), {.seq_len = 16, .only_full_passages = true}, &report);
  EXPECT_EQ(rows.size(), 3u);
  for (const auto& row : rows) EXPECT_EQ(row.places(), 16);
  EXPECT_EQ(report.padding_tokens, 0);
  EXPECT_EQ(report.dropped_documents, 1);
  EXPECT_EQ(report.dropped_tokens, 3 + 7);
}

TEST(Packer, GivesSeparatorsPlacesWithoutADocumentMask) {
  auto documents = random_documents(4);
  PackingReport report;
  const auto rows = pack(documents, {.seq_len = 64, .document_mask = false}, &report);
  std::map<int64_t, int> inputs;
  int64_t places = 0;
  for (const auto& row : rows) {
    EXPECT_LE(row.places(), 64);
    places += row.places();
    for (const auto& piece : row.pieces) {
      for (int64_t t = 0; t < piece.places(); ++t) ++inputs[piece.offset + t];
    }
  }
  EXPECT_EQ(report.padding_tokens, std::ssize(rows) * 64 - places);
  for (const auto& document : documents) {
    // The last token of a document that ends with a full passage has no place in its row.
    const bool ends_with_passage = document.tokens < 2 || (document.tokens - 1) % 64 == 0;
    for (int64_t t = 0; t < document.tokens; ++t) {
      const bool is_last = t + 1 == document.tokens;
      EXPECT_EQ(inputs[document.offset + t], !is_last || !ends_with_passage);
    }
  }
}

TEST(Packer, PacksAMillionShortDocumentsQuickly) {
  std::vector<int64_t> lengths(1000000);
  std::mt19937 draw(3);
  for (auto& length : lengths) length = 2 + draw() % 500;
  PackingReport report;
  pack(documents_of(lengths), {.seq_len = 8192}, &report);
  EXPECT_LT(report.padding_tokens, report.sequences * 8);
}

TEST(Packer, TurnsDownALengthOfZero) {
  EXPECT_EQ(exit_code_of([] { pack({}, {.seq_len = 0}); }), 4);
}

}  // namespace
}  // namespace longspan
