#include <algorithm>
#include <cmath>
#include <unordered_set>

#include "checkpoints/sentencepiece/sentencepiece_model.h"
#include "src/core/character_map.h"
#include "src/core/error.h"
#include "src/core/utf8.h"

namespace longspan {

namespace {

constexpr size_t kLongestPiece = 1024;  // bytes

std::string fault_of(const std::string& piece, float score) {
  if (piece.empty()) return "empty";
  if (valid_utf8_prefix(piece) < piece.size()) return "not in UTF-8";
  if (piece.find('\0') != piece.npos) return "one with a NUL";
  if (piece.size() > kLongestPiece) return fmt::format("{} bytes long", piece.size());
  if (!std::isfinite(score)) return fmt::format("scored {}", score);
  return "";
}

}  // namespace

void check_sentencepiece_model(const SentencePieceModel& model, const std::string& place) {
  std::unordered_set<std::string_view> seen;
  for (size_t id = 0; id < model.pieces.size(); ++id) {
    const std::string& piece = model.pieces[id];
    std::string fault = fault_of(piece, model.scores[id]);
    if (fault.empty() && !seen.insert(piece).second) fault = "there twice: '" + piece + "'";
    if (fault.empty() && model.types[id] == GgufTokenType::kByte && !is_byte_token(piece)) {
      fault = "of type BYTE and none: '" + piece + "'";
    }
    if (!fault.empty())
      fail(ExitCode::kModel, "{}: the piece of the id {} is {}", place, id, fault);
  }
  auto of_type = [&](GgufTokenType type) {
    return std::count(model.types.begin(), model.types.end(), type);
  };
  if (of_type(GgufTokenType::kUnknown) != 1) {
    fail(ExitCode::kModel, "{}: has {} pieces of the type UNKNOWN, expected one", place,
         of_type(GgufTokenType::kUnknown));
  }
  if (model.byte_fallback && of_type(GgufTokenType::kByte) != 256) {
    fail(ExitCode::kModel, "{}: falls back to bytes and has {} pieces for them, expected 256",
         place, of_type(GgufTokenType::kByte));
  }
  if (!model.character_map.empty() && !CharacterMap::read(model.character_map)) {
    fail(ExitCode::kModel, "{}: its table of characters is damaged", place);
  }
}

bool takes_text_as_it_is(const SentencePieceModel& model) {
  return model.character_map.empty() && !model.remove_extra_whitespaces &&
         model.escape_whitespaces && !model.treat_whitespace_as_suffix;
}

}  // namespace longspan
