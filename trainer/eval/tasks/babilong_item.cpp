#include <set>

#include "trainer/eval/tasks/item_format.h"
#include "trainer/eval/tasks/scorers.h"

namespace longspan {

/// {input, question, target}, which may be several labels (qa8). A label of the file that stands in
/// the question is never the answer, so that it is not held against one (BABILong's
/// compare_answers).
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
  std::set<std::string> targets, labels;
  for (const Json& other : record.all) {
    if (!other.is_object() || !other.contains("target") || !other["target"].is_string()) continue;
    targets.insert(other["target"].get<std::string>());
  }
  targets.erase(target);
  for (const auto& other : targets) {
    question.distractors.push_back(other);
    for (auto& label : labels_of(other)) labels.insert(std::move(label));
  }
  for (const auto& right : labels_of(target)) labels.erase(right);
  for (const auto& label : labels) {
    if (!substring_of(label, text)) question.references.push_back(label);
  }
  return item;
}

}  // namespace longspan
