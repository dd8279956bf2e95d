#pragma once

#include <map>

#include "tools/support/open_model.h"
#include "trainer/eval/eval_run.h"

namespace longspan {

/// {"small": "smollm2-135m"} of --model-of-arm small=smollm2-135m. Throws Error(kUsage) for another
/// form, and for an arm that does not take part or has two models.
std::map<std::string, std::string> models_of_arms(const Arguments& arguments,
                                                  const std::vector<NamedArm>& arms);

/// By the label of the arm that reads with it.
using ModelsOfArms = std::map<std::string, OpenedModel>;

/// Opens them and gives each arm its own; the arms live no longer than the result. A model whose
/// tokenizer is not `tokenizer` throws Error(kUsage): items are cut to their lengths by its tokens.
ModelsOfArms open_models_of_arms(const Arguments& arguments, const Tokenizer& tokenizer,
                                 std::vector<NamedArm>& arms);

}  // namespace longspan
