#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "data/tokenizers/tokenizer.h"
#include "src/model/causal_lm.h"

namespace longspan {

class Arm;
std::shared_ptr<Arm> full_arm();  // arms/arm.h

/// A loaded model and the arm by which it reads, as a task meets them.
struct EvalSubject {
  CausalLm& model;
  const Tokenizer& tokenizer;
  std::optional<int64_t> bos_token_id;  // set when the model's tokenizer puts one before a text
  std::shared_ptr<Arm> arm = full_arm();
};

}  // namespace longspan
