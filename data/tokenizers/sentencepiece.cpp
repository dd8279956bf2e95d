#include "data/tokenizers/sentencepiece.h"

#include <sentencepiece_processor.h>

#include <algorithm>
#include <exception>
#include <span>
#include <utility>

#include "src/core/error.h"
#include "src/core/utf8.h"

namespace sentencepiece::logging {
void SetMinLogLevel(int level);  // which the library has and no header of Debian's names
}

namespace longspan {

namespace {

constexpr int kNoLog = 3;  // but what ends the program

void check(const sentencepiece::util::Status& status, const std::string& place) {
  if (!status.ok()) fail(ExitCode::kModel, "{}: SentencePiece: {}", place, status.message());
}

}  // namespace

SentencePiece::SentencePiece(std::string proto, bool cut_freely, const std::string& place)
    : proto_(std::move(proto)),
      processor_(std::make_unique<sentencepiece::SentencePieceProcessor>()) {
  sentencepiece::logging::SetMinLogLevel(kNoLog);
  try {
    check(processor_->LoadFromSerializedProto(proto_), place);
  } catch (const Error&) {
    throw;
  } catch (const std::exception& e) {  // of its trie
    fail(ExitCode::kModel, "{}: SentencePiece: {}", place, e.what());
  }
  if (!cut_freely) return;
  boundaries_.emplace();
  for (int32_t id = 0; id < size(); ++id) {
    if (!processor_->IsControl(id) && !processor_->IsUnknown(id) && !processor_->IsByte(id)) {
      boundaries_->add(piece(id));
    }
  }
}

SentencePiece::~SentencePiece() = default;

void SentencePiece::encode(std::string_view piece, SubwordScratch& scratch,
                           std::vector<int32_t>& ids, EncodeNotes* notes) const {
  if (!boundaries_) return encode_part(piece, scratch, ids, notes);
  while (!piece.empty()) {
    size_t end = boundaries_->next(piece);
    encode_part(piece.substr(0, end), scratch, ids, notes);
    piece.remove_prefix(end);
  }
}

void SentencePiece::encode_part(std::string_view part, SubwordScratch& scratch,
                                std::vector<int32_t>& ids, EncodeNotes* notes) const {
  auto known = scratch.cache.find(part);
  if (!known.empty()) {
    ids.insert(ids.end(), known.begin(), known.end());
    return;
  }
  auto& made = scratch.symbols;
  made.clear();
  check(processor_->Encode(part, &made), "tokenizer");
  const bool complete = std::find(made.begin(), made.end(), processor_->unk_id()) == made.end();
  if (complete) {
    scratch.cache.remember(part, made);
  } else if (notes != nullptr) {
    note_lost(part, *notes);
  }
  ids.insert(ids.end(), made.begin(), made.end());
}

void SentencePiece::note_lost(std::string_view part, EncodeNotes& notes) const {
  const auto cut = processor_->EncodeAsImmutableProto(part);
  for (const auto& piece : cut.pieces()) {
    if (piece.id() != static_cast<uint32_t>(processor_->unk_id())) continue;
    const std::string& surface = piece.surface();
    for (size_t at = 0; at < surface.size();) {
      size_t begin = at;
      next_code_point(surface, at);
      ++notes.lost[surface.substr(begin, at - begin)];
    }
  }
}

void SentencePiece::describe(const std::function<void(const std::string&)>& line) const {
  line(proto_);
}

int32_t SentencePiece::size() const { return processor_->GetPieceSize(); }

const std::string& SentencePiece::piece(int32_t id) const { return processor_->IdToPiece(id); }

/// Whether it only fills up the ids, as llama.cpp's converter names such.
bool SentencePiece::is_filler(int32_t id) const {
  return processor_->IsUnused(id) && piece(id) == fmt::format("[PAD{}]", id);
}

SubwordModelParts read_sentencepiece(const Json& tokenizer_json, const std::string& place) {
  const Json& model = tokenizer_json.at("model");
  const Json& proto = model.at("proto");
  if (!proto.is_binary()) {
    fail(ExitCode::kModel, "{}: model.type \"SentencePiece\" is not that of a tokenizer.json",
         place);
  }
  const auto& bytes = proto.get_binary();
  auto made = std::make_unique<SentencePiece>(std::string(bytes.begin(), bytes.end()),
                                              model.value("cut_freely", false), place);
  SubwordModelParts parts;
  std::unordered_map<std::string, int32_t> ids;
  for (int32_t id = 0; id < made->size(); ++id) {
    const std::string& piece = made->piece(id);
    if (made->is_filler(id)) continue;
    parts.vocabulary.at(id, piece, place) = {piece, Vocabulary::Kind::kOrdinary};
    ids.emplace(piece, id);
  }
  parts.model = std::move(made);
  parts.vocabulary.add(tokenizer_json, ids, place);
  return parts;
}

}  // namespace longspan
