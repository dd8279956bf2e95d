#pragma once

#include "tests/support/float32_bound.h"
#include "tests/trainer/eval/eval_fixtures.h"
#include "trainer/eval/arms/arm.h"

namespace longspan {

inline std::unique_ptr<Arm> arm_with(const std::string& name, const Json& keys) {
  auto arm = make_arm(name);
  give_keys(*arm, keys);
  return arm;
}

/// A context of `letters` without meaning, whose middle third is evidence.
inline Item byte_item(size_t letters, const std::string& answer = "answer",
                      const std::string& question = "\nWhat?") {
  Item item;
  item.passage = {"Read this:\n", some_text(letters)};
  item.question.text = question;
  item.question.answers = {answer};
  item.question.evidence = {{letters / 3, 2 * letters / 3}};
  item.question.max_new_tokens = 4;
  return item;
}

inline Answer answer_by(Arm& arm, const EvalSubject& subject, const Item& item,
                        int64_t length = 4096) {
  return arm.read_passage(subject, item.passage, length)->ask(item.question);
}

inline double loss_bound(const CausalLm& model, double loss) {
  return float32_bound(loss, terms_of_loss(model.config(), 500));
}

}  // namespace longspan
