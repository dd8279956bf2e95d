#include "trainer/eval/arms/drawing_arm.h"

#include "trainer/eval/arms/answer_json.h"

namespace longspan {

class DrawingArm::DrawingReading : public Reading {
 public:
  DrawingReading(const DrawingArm& arm, Passage passage, int64_t length)
      : arm_(arm), passage_(std::move(passage)), length_(length) {}

  Answer ask(const Question& question) override {
    Json line = write_item({passage_, question});
    line.update(write_scoring(question));
    arm_.hear({.length = length_,
               .begins_passage = !asked_,
               .new_tokens = question.max_new_tokens,
               .line = std::move(line)});
    asked_ = true;
    Answer right{.token_accuracy = 1, .tokens_read = length_};
    if (!question.answers.empty()) right.text = question.answers[0];
    if (!question.distractors.empty()) right.rank = 1;
    return right;
  }

 private:
  const DrawingArm& arm_;
  Passage passage_;
  int64_t length_;
  bool asked_ = false;
};

DrawingArm::DrawingArm(const EvalTask& task, std::function<void(const AskedItem&)> on_item)
    : task_(task.name()), on_item_(std::move(on_item)) {
  const Json keys = task.write();
  if (keys.contains("seed")) seed_ = keys["seed"];
}

void DrawingArm::hear(AskedItem asked) const {
  Json line = {{"task", task_}, {"length", asked.length}, {"seed", seed_}};
  line.update(asked.line);
  asked.task = task_;
  asked.line = std::move(line);
  on_item_(asked);
}

std::vector<double> DrawingArm::target_nll(const EvalSubject& subject,
                                           const std::vector<int64_t>& ids, int64_t targets) {
  const auto text = [&](int64_t begin, int64_t end) {
    return subject.tokenizer.decode({ids.begin() + begin, ids.begin() + end});
  };
  const int64_t size = std::ssize(ids);
  const int64_t first = subject.bos_token_id && ids[0] == *subject.bos_token_id ? 1 : 0;
  const Json scored = Json::array({text(size - targets, size)});
  hear({.length = size,
        .line = {{"context", text(first, size - targets)},
                 {"question", ""},
                 {"answers", scored},
                 {"answer_prefix", ""},
                 {"metric", "nll"},
                 {"references", scored},
                 {"scored_tokens", targets}},
        .ids = ids,
        .scored_tokens = targets});
  return std::vector<double>(static_cast<size_t>(targets), 0.0);
}

std::unique_ptr<Reading> DrawingArm::read_passage(const EvalSubject&, const Passage& passage,
                                                  int64_t length) {
  return std::make_unique<DrawingReading>(*this, passage, length);
}

}  // namespace longspan
