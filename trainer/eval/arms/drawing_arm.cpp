#include "trainer/eval/arms/drawing_arm.h"

#include "trainer/eval/arms/answer_json.h"

namespace longspan {

namespace {

class DrawingReading : public Reading {
 public:
  DrawingReading(std::string task, Passage passage, int64_t length,
                 const std::function<void(AskedItem)>& on_item)
      : task_(std::move(task)), passage_(std::move(passage)), length_(length), on_item_(on_item) {}

  Answer ask(const Question& question) override {
    on_item_({task_, length_, !asked_, question.max_new_tokens, write_item({passage_, question})});
    asked_ = true;
    Answer right{.token_accuracy = 1, .tokens_read = length_};
    if (!question.answers.empty()) right.text = question.answers[0];
    if (!question.distractors.empty()) right.rank = 1;
    return right;
  }

 private:
  std::string task_;
  Passage passage_;
  int64_t length_;
  const std::function<void(AskedItem)>& on_item_;
  bool asked_ = false;
};

std::string decoded(const Tokenizer& tokenizer, const std::vector<int64_t>& ids, int64_t begin,
                    int64_t end) {
  return tokenizer.decode({ids.begin() + begin, ids.begin() + end});
}

}  // namespace

std::vector<double> DrawingArm::target_nll(const EvalSubject& subject,
                                           const std::vector<int64_t>& ids, int64_t targets) {
  const int64_t size = std::ssize(ids);
  const int64_t first = subject.bos_token_id && ids[0] == *subject.bos_token_id ? 1 : 0;
  on_item_({task_,
            size,
            true,
            0,
            {{"context", decoded(subject.tokenizer, ids, first, size - targets)},
             {"question", ""},
             {"answers", Json::array({decoded(subject.tokenizer, ids, size - targets, size)})},
             {"answer_prefix", ""},
             {"scored_tokens", targets}},
            ids,
            targets});
  return std::vector<double>(static_cast<size_t>(targets), 0.0);
}

std::unique_ptr<Reading> DrawingArm::read_passage(const EvalSubject&, const Passage& passage,
                                                  int64_t length) {
  return std::make_unique<DrawingReading>(task_, passage, length, on_item_);
}

}  // namespace longspan
