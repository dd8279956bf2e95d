#pragma once

#include <cstddef>
#include <cstdint>

// The layout of a token store, format version 2: an HDF5 file (superblock of HDF5 1.10, so that its
// metadata carries checksums too) with, at its root,
//
//   attribute  format                 string, kFormat
//   attribute  format_version         int64, 2
//   attribute  tokenizer_fingerprint  string, Tokenizer::fingerprint()
//   attribute  vocab_size             int64; every id is below it
//   dataset    tokens                 int32 [tokens], all documents one after another
//   dataset    is_label               uint8 [tokens], 1 or 0; a token is a label too where it is
//                                     absent, and in chunks that were never written
//   dataset    document_offsets       int64 [documents + 1], from 0 to tokens, never falling
//   dataset    document_names         uint8, the UTF-8 names, each ended by a NUL
//
// Every dataset is chunked, shuffled, deflated and checksummed (Fletcher-32). Version 1 has no
// is_label.
namespace longspan::token_store_layout {

inline constexpr const char* kFormat = "longspan token store";
inline constexpr int64_t kFormatVersion = 2, kOldestFormatVersion = 1;

inline constexpr const char* kFormatKey = "format";
inline constexpr const char* kFormatVersionKey = "format_version";
inline constexpr const char* kTokenizerFingerprintKey = "tokenizer_fingerprint";
inline constexpr const char* kVocabSizeKey = "vocab_size";

inline constexpr const char* kTokens = "tokens";
inline constexpr const char* kIsLabel = "is_label";
inline constexpr const char* kDocumentOffsets = "document_offsets";
inline constexpr const char* kDocumentNames = "document_names";

inline constexpr size_t kChunkElements = 64 << 10;
// Level 6 makes books a few hundredths smaller than 1 does, and takes more than twice as long.
inline constexpr unsigned kDeflateLevel = 1;

}  // namespace longspan::token_store_layout
