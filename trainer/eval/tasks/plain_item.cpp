#include "src/core/text.h"
#include "trainer/eval/tasks/item_format.h"
#include "trainer/eval/tasks/scorers.h"

namespace longspan {

DrawnItem read_plain_item(const ItemRecord& record) {
  Fields& fields = record.fields;
  DrawnItem item;
  fields.optional("instruction", item.passage.instruction);
  fields.required("context", item.passage.context);
  Question& question = item.questions.emplace_back();
  std::string text;
  fields.required("question", text);
  question.text = "\n\nQuestion: " + text + "\nAnswer:";
  question.answers = required_texts(record, "answers");
  fields.optional("subset", question.subset);
  fields.in_range("max_new_tokens", question.max_new_tokens, 1, 1 << 20);
  if (fields.has("choices") && !question.answers.empty()) {
    set_choices(question, required_texts(record, "choices"), question.answers[0], record,
                "answers");
  }
  std::vector<std::string> metrics = scorers();
  if (!question.distractors.empty()) metrics.emplace_back("choice");
  fields.choice("metric", question.metric, metrics);
  return item;
}

}  // namespace longspan
