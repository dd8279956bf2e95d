#pragma once

#include "tools/support/models_of_arms.h"

namespace longspan {

/// What a result says of where it comes from: the model, its weights and tokenizer, what the
/// options made of it, the arms with their keys and models, the machine.
Json eval_provenance(const Arguments& arguments, const OpenedModel& opened,
                     const Tokenizer& tokenizer, const std::vector<NamedArm>& arms,
                     const ModelsOfArms& models);

/// Of these, all that decides an answer besides its question and its arm. Models count by what they
/// hold, not by where they lie.
Json answer_identity(const Json& provenance);

}  // namespace longspan
