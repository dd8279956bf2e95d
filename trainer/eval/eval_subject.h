#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "data/tokenizers/tokenizer.h"
#include "src/model/causal_lm.h"

namespace longspan {

class Arm;
std::unique_ptr<Arm> make_arm(std::string_view name);

/// A loaded model and the arm by which it reads, as a task meets them.
struct EvalSubject {
  CausalLm& model;
  const Tokenizer& tokenizer;
  std::optional<int64_t> bos_token_id;  // set when the model's tokenizer puts one before a text
  std::shared_ptr<Arm> arm = make_arm("full");
};

}  // namespace longspan
