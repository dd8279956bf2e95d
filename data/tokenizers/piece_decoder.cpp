#include "data/tokenizers/piece_decoder.h"

#include <algorithm>
#include <charconv>

#include "data/tokenizers/byte_level_alphabet.h"
#include "src/core/error.h"

namespace longspan {

namespace {

// A chain of replacements could make a text grow without bound.
constexpr size_t kMostDecodedGrowth = 64;

/// 0x0A of "<0x0A>"; -1 when the token is no byte.
int byte_of(std::string_view token) {
  if (token.size() != 6 || !token.starts_with("<0x") || token[5] != '>') return -1;
  int byte = -1;
  auto [end, error] = std::from_chars(token.data() + 3, token.data() + 5, byte, 16);
  return error == std::errc() && end == token.data() + 5 ? byte : -1;
}

}  // namespace

PieceDecoder::PieceDecoder(const Json& json, const std::string& place) {
  const Json steps = json.is_object() && json.value("type", "") == "Sequence"
                         ? json.value("decoders", Json::array())
                         : Json::array({json});
  for (const auto& step : steps) add(step, place + ": decoder");
}

void PieceDecoder::add_replacement(const std::string& from, const std::string& to,
                                   const std::string& place) {
  if (from.empty()) fail(ExitCode::kModel, "{}: replaces an empty text", place);
  growth_ *= std::max<size_t>(1, (to.size() + from.size() - 1) / from.size());
  if (to.size() > kMostDecodedGrowth || growth_ > kMostDecodedGrowth) {
    fail(ExitCode::kModel, "{}: makes a token more than {} times as long", place,
         kMostDecodedGrowth);
  }
  replacements_.emplace_back(from, to);
}

void PieceDecoder::add(const Json& step, const std::string& place) {
  const std::string type = step.is_object() ? step.value("type", "") : "";
  if (type == "Replace" && !bytes_ && !fused_ && step.at("pattern").contains("String")) {
    add_replacement(step.at("pattern").at("String").get<std::string>(),
                    step.at("content").get<std::string>(), place);
  } else if (type == "Metaspace" && !fused_) {
    add_replacement(step.at("replacement").get<std::string>(), " ", place);
    const bool prefix = step.value("prepend_scheme", "always") != "never";
    fused_ = true;
    if (prefix && step.value("add_prefix_space", true)) {
      strip_ = " ";
      strip_left_ = 1;
    }
  } else if (type == "ByteFallback" && !fused_) {
    bytes_ = true;
  } else if (type == "ByteLevel" && !bytes_ && !fused_) {
    byte_names_ = fused_ = true;
  } else if (type == "Fuse") {
    fused_ = true;
  } else if (type == "Strip" && fused_ && strip_.empty()) {
    strip_ = step.at("content").get<std::string>();
    strip_left_ = step.at("start").get<size_t>();
    strip_right_ = step.at("stop").get<size_t>();
  } else {
    fail(ExitCode::kModel,
         "{}: {} is not supported here; expected Metaspace, ByteLevel, or a Sequence of Replace "
         "with a String, ByteFallback, Fuse and Strip",
         place, step.dump());
  }
}

std::string PieceDecoder::bytes_of(std::string_view token) const {
  std::string text(token);
  for (const auto& [from, to] : replacements_) {
    for (size_t at = text.find(from); at != text.npos; at = text.find(from, at + to.size())) {
      text.replace(at, from.size(), to);
    }
  }
  if (byte_names_) return byte_level_bytes(text).value_or(text);
  int byte = bytes_ ? byte_of(text) : -1;
  return byte < 0 ? text : std::string(1, static_cast<char>(byte));
}

void PieceDecoder::strip(std::string& text) const {
  if (strip_.empty()) return;
  std::string_view kept = text;
  for (size_t i = 0; i < strip_left_ && kept.starts_with(strip_); ++i) {
    kept.remove_prefix(strip_.size());
  }
  for (size_t i = 0; i < strip_right_ && kept.ends_with(strip_); ++i) {
    kept.remove_suffix(strip_.size());
  }
  text = std::string(kept);
}

}  // namespace longspan
