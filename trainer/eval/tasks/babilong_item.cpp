#include <set>

#include "trainer/eval/tasks/item_format.h"
#include "trainer/eval/tasks/scorers.h"

namespace longspan {

/// {input, question, target}. A label of the file that stands in the question is never the answer,
/// so that it is not held against one (BABILong's compare_answers).
DrawnItem read_babilong_item(const ItemRecord& record) {
  DrawnItem item;
  record.fields.required("input", item.passage.context);
  std::string question, target;
  record.fields.required("question", question);
  record.fields.required("target", target);
  ScoredQuestion& scored = item.questions.emplace_back(ScoredQuestion{.metric = "label"});
  scored.question.text = "\n\nQuestion: " + question + "\nAnswer:";
  scored.question.answers = {target};
  scored.question.max_new_tokens = 20;
  scored.references = {target};
  std::set<std::string> labels;
  for (const Json& other : record.all) {
    if (!other.is_object() || !other.contains("target") || !other["target"].is_string()) continue;
    labels.insert(other["target"].get<std::string>());
  }
  labels.erase(target);
  for (const auto& label : labels) {
    scored.question.distractors.push_back(label);
    if (substring_of(label, question)) continue;
    scored.references.push_back(label);
  }
  return item;
}

}  // namespace longspan
