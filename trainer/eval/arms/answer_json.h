#pragma once

#include "trainer/eval/arms/arm.h"

namespace longspan {

/// An answer as a journal keeps it; exact.
Json write_answer(const Answer& answer);
/// What write_answer wrote. Throws Error(kCheckpoint) that names `place` for anything else.
Answer read_answer(const Json& json, const std::string& place);

/// What a model is asked: {"context", "question", "answers", ...}.
Json write_item(const Item& item);
/// What its answer is scored by: {"metric", "references", ...}.
Json write_scoring(const Question& question);

}  // namespace longspan
