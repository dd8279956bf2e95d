#include <set>

#include "trainer/eval/tasks/item_format.h"
#include "trainer/eval/tasks/scorers.h"

namespace longspan {

/// {input, question, target}. A label of the file that stands in the question is never the answer,
/// so that it is not held against one (BABILong's compare_answers).
DrawnItem read_babilong_item(const ItemRecord& record) {
  DrawnItem item;
  record.fields.required("input", item.passage.context);
  std::string text, target;
  record.fields.required("question", text);
  record.fields.required("target", target);
  Question& question = item.questions.emplace_back(Question{.metric = "label"});
  question.text = "\n\nQuestion: " + text + "\nAnswer:";
  question.answers = {target};
  question.max_new_tokens = 20;
  question.references = {target};
  std::set<std::string> labels;
  for (const Json& other : record.all) {
    if (!other.is_object() || !other.contains("target") || !other["target"].is_string()) continue;
    labels.insert(other["target"].get<std::string>());
  }
  labels.erase(target);
  for (const auto& label : labels) {
    question.distractors.push_back(label);
    if (substring_of(label, text)) continue;
    question.references.push_back(label);
  }
  return item;
}

}  // namespace longspan
