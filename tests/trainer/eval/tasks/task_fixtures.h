#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tests/trainer/eval/eval_fixtures.h"
#include "trainer/eval/arms/arm.h"
#include "trainer/eval/tasks/item_task.h"

namespace longspan {

/// Answers as it is told to, and remembers nothing.
class ToldArm : public Arm {
 public:
  using Reply = std::function<Answer(const Passage& passage, const Question& question)>;

  explicit ToldArm(Reply reply) : reply_(std::move(reply)) {}
  std::string_view name() const override { return "told"; }
  std::vector<double> target_nll(const EvalSubject&, const std::vector<int64_t>&,
                                 int64_t targets) override {
    return std::vector<double>(targets, 1.0);
  }
  std::unique_ptr<Reading> read_passage(const EvalSubject&, const Passage& passage,
                                        int64_t) override {
    class ToldReading : public Reading {
     public:
      ToldReading(Passage passage, const Reply& reply)
          : passage_(std::move(passage)), reply_(reply) {}
      Answer ask(const Question& question) override { return reply_(passage_, question); }

     private:
      Passage passage_;
      const Reply& reply_;
    };
    return std::make_unique<ToldReading>(passage, reply_);
  }
  double flops(CausalLm&, int64_t, int64_t) const override { return 0; }
  int64_t kv_bytes(CausalLm&, int64_t) const override { return 0; }

 private:
  Reply reply_;
};

/// A model, a tokenizer of bytes and the arm to read by.
class TaskFixture {
 public:
  EvalSubject subject(std::shared_ptr<Arm> arm = make_arm("full")) {
    return {*model_, tokenizer_, {}, std::move(arm)};
  }
  EvalSubject told(ToldArm::Reply reply) {
    return subject(std::make_shared<ToldArm>(std::move(reply)));
  }
  /// The items of a task, in the order drawn.
  std::vector<std::pair<int64_t, DrawnItem>> items(const ItemTask& task,
                                                   const std::vector<int64_t>& lengths) {
    std::vector<std::pair<int64_t, DrawnItem>> drawn;
    task.draw_items(subject(), lengths, [&](int64_t length, const DrawnItem& item) {
      drawn.emplace_back(length, item);
    });
    return drawn;
  }

 private:
  std::unique_ptr<CausalLm> model_ = byte_model();
  ByteTokenizer tokenizer_;
};

/// The evidence as it stands in the context.
inline std::string evidence_of(const DrawnItem& item, size_t question, size_t index = 0) {
  const Span span = item.questions.at(question).evidence.at(index);
  return item.passage.context.substr(span.begin, span.end - span.begin);
}

inline size_t occurrences(const std::string& text, const std::string& part) {
  size_t found = 0;
  for (size_t at = 0; (at = text.find(part, at)) != text.npos; at += part.size()) ++found;
  return found;
}

}  // namespace longspan
