#pragma once

#include "checkpoints/adapters/peft_adapter.h"
#include "src/core/fields.h"

namespace longspan {

/// The part of a module that has new rows for some of its tokens: [tokens, hidden_size].
inline constexpr const char* kTrainableTokens = "trainable_tokens_delta";

/// Which rows each "MODULE.trainable_tokens_delta" of `tensors` stands for: PEFT's
/// trainable_token_indices, a list (of embed_tokens) or {module: list}, or the token_indices of an
/// adapter of peft_type TRAINABLE_TOKENS. What does not fit is an error of `fields`.
std::map<std::string, std::vector<int64_t>> read_trainable_tokens(
    const Json& json, const std::map<std::string, at::Tensor>& tensors, Fields& fields);

/// `weight` [vocab_size, hidden_size] of `module` with the adapter's rows in place of its own, as
/// PEFT merges them: replaced, not added to. Rows beyond it throw Error(kModel) with `place`.
at::Tensor with_trainable_tokens(const PeftAdapter& adapter, const std::string& module,
                                 const at::Tensor& weight, const std::string& place);

/// Whether embed_tokens and lm_head of a tied model have the same rows replaced. PEFT lets lm_head
/// follow where the adapter has rows of embed_tokens alone.
bool trains_tokens_alike(const PeftAdapter& adapter);

}  // namespace longspan
