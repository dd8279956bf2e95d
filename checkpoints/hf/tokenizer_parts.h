#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "src/core/json.h"

namespace longspan {

// Parts of a tokenizer.json, with the keys that Hugging Face's tokenizers writes.

/// An entry of added_tokens that is looked for as it stands.
Json added_token(int64_t id, const std::string& content, bool special);

/// The model BPE, without vocab and merges, that cuts by merges alone.
Json bpe_model();

/// A token that a template puts around a text.
struct SpecialToken {
  std::string content;
  int64_t id = 0;
};

/// The post_processor that puts bos before and eos behind a text, or each text of a pair.
Json template_processing(const std::optional<SpecialToken>& bos,
                         const std::optional<SpecialToken>& eos);

/// The TemplateProcessing that a post_processor is or holds, or that of a BertProcessing or
/// RobertaProcessing; else null.
Json find_template_processing(const Json& post_processor);

}  // namespace longspan
