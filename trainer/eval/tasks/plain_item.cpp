#include "src/core/text.h"
#include "trainer/eval/tasks/item_format.h"
#include "trainer/eval/tasks/scorers.h"

namespace longspan {

DrawnItem read_plain_item(const ItemRecord& record) {
  Fields& fields = record.fields;
  DrawnItem item;
  fields.optional("instruction", item.passage.instruction);
  fields.required("context", item.passage.context);
  ScoredQuestion& scored = item.questions.emplace_back();
  std::string question;
  fields.required("question", question);
  scored.question.text = "\n\nQuestion: " + question + "\nAnswer:";
  scored.question.answers = required_texts(record, "answers");
  fields.optional("subset", scored.subset);
  fields.in_range("max_new_tokens", scored.question.max_new_tokens, 1, 1 << 20);
  if (fields.has("choices") && !scored.question.answers.empty()) {
    set_choices(scored, required_texts(record, "choices"), scored.question.answers[0], record,
                "answers");
  }
  std::vector<std::string> metrics = scorers();
  if (!scored.question.distractors.empty()) metrics.emplace_back("choice");
  fields.choice("metric", scored.metric, metrics);
  return item;
}

}  // namespace longspan
