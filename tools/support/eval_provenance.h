#pragma once

#include "tools/support/open_model.h"
#include "trainer/eval/eval_work.h"

namespace longspan {

/// What a result says of where it comes from: the model, its weights and tokenizer, what the
/// options made of it, the arms with their keys, the machine.
Json eval_provenance(const Arguments& arguments, const OpenedModel& opened,
                     const Tokenizer& tokenizer, const std::vector<NamedArm>& arms);

/// Of these, all that decides an answer besides its question and its arm.
Json answer_identity(const Json& provenance);

}  // namespace longspan
