#include "trainer/eval/tasks/key_value.h"

#include "trainer/eval/tasks/uuid_object.h"

namespace longspan {

namespace {

DrawnItem draw_object(const EvalSubject& subject, int64_t length, int64_t questions, Draw draw) {
  std::vector<std::string> keys, values;
  std::vector<Hidden> hidden;
  for (const double depth : even_depths(questions)) {
    keys.push_back(draw.uuid());
    values.push_back(draw.uuid());
    hidden.push_back({json_pair(keys.back(), values.back()), depth});
  }
  UuidObject object(draw);
  return largest_item(subject, length, 1, "kv", [&](int64_t pairs) {
    const Stack stack = object.make(pairs, hidden);
    DrawnItem item{
        .passage = {"Extract the value corresponding to the specified key in the JSON object "
                    "below.\n\nJSON data:\n",
                    stack.text},
        .questions = {}};
    for (size_t i = 0; i < keys.size(); ++i) {
      Question& question = item.questions.emplace_back();
      question.depth = hidden[i].depth;
      question.text = "\n\nKey: \"" + keys[i] + "\"\nCorresponding value:";
      question.answers = {values[i]};
      question.answer_prefix = " \"";
      question.evidence = {stack.spans[i]};
      for (size_t j = 0; j < values.size(); ++j) {
        if (j != i) question.distractors.push_back(values[j]);
      }
      question.max_new_tokens = new_tokens_of(subject, question);
    }
    return item;
  });
}

}  // namespace

void KeyValueTask::fields(FieldsIo& io) {
  io.whole("questions", questions_, {1, 100}, "keys asked for, at evenly spaced depths");
  io.whole("trials", trials_, {1, 10000}, "objects a length");
  io.whole("seed", seed_, kSeeds, "of all that is drawn");
}

void KeyValueTask::draw_items(const EvalSubject& subject, const std::vector<int64_t>& lengths,
                              const Use& use) const {
  for (const int64_t length : lengths) {
    for (int64_t trial = 0; trial < trials_; ++trial) {
      use(length, draw_object(subject, length, questions_, Draw("kv", {seed_, length, trial})));
    }
  }
}

Json KeyValueTask::rules() const {
  return {
      {"rule",
       "the key-value task of Lost in the Middle in its words: the most pairs with which prompt "
       "and answer have at most `length` tokens (BOS included where there is one); several "
       "keys of one object are asked for; no chat template"},
      {"score", "1 if the value stands in the answer (best_subspan_em)"},
      {"ranked_first", "the right value has the least loss a token among those asked for"}};
}

}  // namespace longspan
