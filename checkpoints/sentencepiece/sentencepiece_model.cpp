#include "checkpoints/sentencepiece/sentencepiece_model.h"

#include <bit>
#include <cstring>
#include <optional>

#include "src/core/error.h"

namespace longspan {

namespace {

/// One field of a message: its number, and its value as the wire type has it.
struct Field {
  uint64_t number = 0;
  uint64_t integer = 0;    // of a varint or a fixed 32 or 64 bits
  std::string_view bytes;  // of a length-delimited one
};

/// Goes through the fields of a protocol buffer message.
class MessageReader {
 public:
  MessageReader(std::string_view message, const std::string& place)
      : left_(message), place_(place) {}

  /// Nothing behind the last one.
  std::optional<Field> next() {
    if (left_.empty()) return std::nullopt;
    Field field;
    uint64_t tag = varint();
    field.number = tag >> 3;
    switch (tag & 7) {
      case 0:
        field.integer = varint();
        break;
      case 1:
        field.integer = fixed<uint64_t>();
        break;
      case 2:
        field.bytes = take(varint());
        break;
      case 5:
        field.integer = fixed<uint32_t>();
        break;
      default:
        damaged();
    }
    return field;
  }

  [[noreturn]] void damaged() const {
    fail(ExitCode::kModel,
         "{}: is no SentencePiece model, or is damaged; if it is LLaMA 3's own (a list for "
         "tiktoken), put the tokenizer.json of the model's Hugging Face form beside it",
         place_);
  }

 private:
  std::string_view take(uint64_t size) {
    if (size > left_.size()) damaged();
    std::string_view taken = left_.substr(0, size);
    left_.remove_prefix(size);
    return taken;
  }
  uint64_t varint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      auto byte = static_cast<uint8_t>(take(1)[0]);
      value |= uint64_t{byte & 0x7Fu} << shift;
      if (byte < 0x80) return value;
    }
    damaged();
  }
  template <class Integer>
  Integer fixed() {
    static_assert(std::endian::native == std::endian::little);
    Integer value = 0;
    std::memcpy(&value, take(sizeof value).data(), sizeof value);
    return value;
  }

  std::string_view left_;
  const std::string& place_;
};

void read_piece(std::string_view message, const std::string& place, SentencePieceModel& model) {
  MessageReader reader(message, place);
  std::string piece;
  float score = 0;
  auto type = GgufTokenType::kNormal;
  while (auto field = reader.next()) {
    if (field->number == 1) piece = field->bytes;
    if (field->number == 2) score = std::bit_cast<float>(static_cast<uint32_t>(field->integer));
    if (field->number == 3) {
      if (field->integer < 1 || field->integer > 6) reader.damaged();
      type = static_cast<GgufTokenType>(field->integer);
    }
  }
  model.pieces.push_back(std::move(piece));
  model.scores.push_back(score);
  model.types.push_back(type);
}

void read_trainer(std::string_view message, const std::string& place, SentencePieceModel& model) {
  MessageReader reader(message, place);
  while (auto field = reader.next()) {
    if (field->number == 3) {
      if (field->integer < 1 || field->integer > 4) reader.damaged();
      model.algorithm = static_cast<SentencePieceModel::Algorithm>(field->integer);
    }
    if (field->number == 24) model.treat_whitespace_as_suffix = field->integer != 0;
    if (field->number == 35) model.byte_fallback = field->integer != 0;
    if (field->number == 46) model.bos_piece = field->bytes;
    if (field->number == 47) model.eos_piece = field->bytes;
  }
}

void read_normalizer(std::string_view message, const std::string& place,
                     SentencePieceModel& model) {
  MessageReader reader(message, place);
  while (auto field = reader.next()) {
    if (field->number == 2) model.character_map = field->bytes;
    if (field->number == 3) model.add_dummy_prefix = field->integer != 0;
    if (field->number == 4) model.remove_extra_whitespaces = field->integer != 0;
    if (field->number == 5) model.escape_whitespaces = field->integer != 0;
  }
}

}  // namespace

SentencePieceModel read_sentencepiece_model(std::string_view bytes, const std::string& place) {
  SentencePieceModel model;
  MessageReader reader(bytes, place);
  while (auto field = reader.next()) {
    if (field->number == 1) read_piece(field->bytes, place, model);
    if (field->number == 2) read_trainer(field->bytes, place, model);
    if (field->number == 3) read_normalizer(field->bytes, place, model);
  }
  if (model.pieces.empty()) reader.damaged();
  check_sentencepiece_model(model, place);
  return model;
}

}  // namespace longspan
