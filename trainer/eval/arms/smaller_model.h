#pragma once

#include "trainer/eval/arms/full.h"

namespace longspan {

/// Another model, smaller or quantised, reads all of the text: what the same effort buys in
/// weights. It is the one of `--model-of-arm smaller_model=MODEL`, with the tokenizer of the first.
class SmallerModelArm : public FullArm {
 public:
  std::string_view name() const override { return "smaller_model"; }
  bool needs_own_model() const override { return true; }
};

}  // namespace longspan
