#pragma once

#include <memory>
#include <string>

#include "data/tokenizers/tokenizer.h"

namespace longspan {

/// `tokenizer` for a model of so many embeddings. One with more ids is warned of, for most texts
/// have none of those; encode() of a text that has one throws Error(kData) with the token and its
/// place. `place` names the model.
std::unique_ptr<Tokenizer> fit_to_embeddings(std::unique_ptr<Tokenizer> tokenizer,
                                             int64_t embeddings, const std::string& place);

}  // namespace longspan
