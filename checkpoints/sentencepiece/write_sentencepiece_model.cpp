#include <bit>
#include <cstdint>
#include <string>

#include "checkpoints/sentencepiece/sentencepiece_model.h"

namespace longspan {

namespace {

/// Appends the fields of a protocol buffer message.
class MessageWriter {
 public:
  void integer(uint32_t number, uint64_t value) {
    varint(number << 3);
    varint(value);
  }
  void number(uint32_t number, float value) {
    varint(number << 3 | 5);
    const auto bits = std::bit_cast<uint32_t>(value);
    for (int shift = 0; shift < 32; shift += 8) bytes_ += static_cast<char>(bits >> shift);
  }
  void bytes(uint32_t number, std::string_view value) {
    varint(number << 3 | 2);
    varint(value.size());
    bytes_ += value;
  }
  const std::string& written() const { return bytes_; }

 private:
  void varint(uint64_t value) {
    for (; value >= 0x80; value >>= 7) bytes_ += static_cast<char>(value | 0x80);
    bytes_ += static_cast<char>(value);
  }

  std::string bytes_;
};

}  // namespace

std::string write_sentencepiece_model(const SentencePieceModel& model) {
  MessageWriter whole, trainer, normalizer;
  for (size_t id = 0; id < model.pieces.size(); ++id) {
    MessageWriter piece;
    piece.bytes(1, model.pieces[id]);
    piece.number(2, model.scores[id]);
    piece.integer(3, static_cast<uint64_t>(model.types[id]));
    whole.bytes(1, piece.written());
  }
  trainer.integer(3, static_cast<uint64_t>(model.algorithm));
  trainer.integer(24, model.treat_whitespace_as_suffix);
  trainer.integer(35, model.byte_fallback);
  trainer.bytes(46, model.bos_piece);
  trainer.bytes(47, model.eos_piece);
  whole.bytes(2, trainer.written());
  normalizer.bytes(2, model.character_map);
  normalizer.integer(3, model.add_dummy_prefix);
  normalizer.integer(4, model.remove_extra_whitespaces);
  normalizer.integer(5, model.escape_whitespaces);
  whole.bytes(3, normalizer.written());
  return whole.written();
}

}  // namespace longspan
