#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "trainer/eval/tasks/draw.h"
#include "trainer/eval/tasks/item.h"

namespace longspan {

/// A question of a data set and which of its documents the answer stands in.
struct QaQuestion {
  std::string text;
  std::vector<std::string> answers;
  std::vector<size_t> gold;
};

struct QaDocuments {
  std::vector<std::string> documents;
  std::vector<QaQuestion> questions;
};

/// SQuAD's JSON (v1.1 or v2.0, without the questions that have no answer): RULER's qa_1. What is
/// none, or has no question, is Error(kData).
QaDocuments read_squad(const std::filesystem::path& path);
/// HotpotQA's JSON of the distractor setting: RULER's qa_2. All paragraphs of a question are gold.
QaDocuments read_hotpotqa(const std::filesystem::path& path);

/// Question `index` (from the start again behind the last) over its own documents and as many
/// others as `length` holds, in RULER's words. The first gold document stands at `depth`, other
/// gold ones anywhere.
DrawnItem draw_qa(const EvalSubject& subject, int64_t length, const QaDocuments& data,
                  int64_t index, double depth, Draw& draw, const std::string& subset);

}  // namespace longspan
