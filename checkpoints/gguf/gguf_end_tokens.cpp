#include "checkpoints/gguf/gguf_end_tokens.h"

#include <algorithm>
#include <iterator>
#include <span>
#include <string_view>

#include "checkpoints/gguf/gguf_token_id.h"
#include "src/core/log.h"
#include "src/core/text.h"

namespace longspan {

namespace {

constexpr std::string_view kTurnEnds[] = {
    "<|eot_id|>", "<|im_end|>", "<|end|>", "<end_of_turn>",      "<|eom_id|>",
    "<EOT>",      "_<EOT>",     "[EOT]",   "<end_of_utterance>",
};
constexpr const char* kEndKeys[] = {"tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id",
                                    "tokenizer.ggml.eom_token_id"};

bool is_turn_end(std::string_view token) {
  return std::find(std::begin(kTurnEnds), std::end(kTurnEnds), token) != std::end(kTurnEnds);
}

}  // namespace

std::optional<int64_t> find_turn_end(const std::vector<std::string>& tokens) {
  for (std::string_view name : kTurnEnds) {
    auto found = std::find(tokens.begin(), tokens.end(), name);
    if (found != tokens.end()) return found - tokens.begin();
  }
  return std::nullopt;
}

std::vector<int64_t> gguf_end_tokens(const GgufReader& gguf) {
  std::vector<int64_t> ends;
  auto add = [&](int64_t id) {
    if (std::find(ends.begin(), ends.end(), id) == ends.end()) ends.push_back(id);
  };
  for (const char* key : kEndKeys) {
    if (const auto id = gguf_token_id(gguf, key)) add(*id);
  }
  const Json* tokens = gguf.value("tokenizer.ggml.tokens");
  for (size_t id = 0; tokens && tokens->is_array() && id < tokens->size(); ++id) {
    const Json& token = (*tokens)[id];
    if (token.is_string() && is_turn_end(token.get_ref<const std::string&>())) {
      add(static_cast<int64_t>(id));
    }
  }
  return ends;
}

void write_other_ends(std::vector<int64_t> ends, const GgufTokenList& vocabulary,
                      const std::string& place, GgufMetadata& metadata) {
  const std::span<const char* const> keys = std::span(kEndKeys).subspan(1);
  std::erase_if(ends, [&](int64_t id) { return id < 0 || id >= std::ssize(vocabulary.tokens); });
  const auto name = [&](int64_t id) { return vocabulary.tokens[static_cast<size_t>(id)]; };
  if (ends.size() > keys.size()) {
    std::stable_partition(ends.begin(), ends.end(),
                          [&](int64_t id) { return !is_turn_end(name(id)); });
  }
  std::vector<std::string> left_out;
  for (size_t i = 0; i < ends.size(); ++i) {
    if (i < keys.size()) {
      metadata.set_whole(keys[i], ends[i]);
    } else if (!is_turn_end(name(ends[i]))) {
      left_out.push_back(name(ends[i]));
    }
  }
  if (left_out.empty()) return;
  log_warning("{}: a GGUF states {} ends of a text; llama.cpp will not end one at {}", place,
              std::size(kEndKeys), join(left_out, ", "));
}

}  // namespace longspan
