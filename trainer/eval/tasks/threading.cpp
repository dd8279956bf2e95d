#include "trainer/eval/tasks/threading.h"

#include <algorithm>

#include "trainer/eval/tasks/uuid_object.h"

namespace longspan {

namespace {

/// ids[i] is the key of ids[i + 1]; the last is no key.
struct Thread {
  std::vector<std::string> ids;
  std::vector<double> depths;  // of its pairs, rising
};

Thread draw_thread(int64_t hops, Draw& draw) {
  Thread thread;
  for (int64_t i = 0; i <= hops; ++i) thread.ids.push_back(draw.uuid());
  for (int64_t i = 0; i < hops; ++i) {
    thread.depths.push_back(draw.depth());
  }
  std::sort(thread.depths.begin(), thread.depths.end());
  return thread;
}

/// Distractors: what the thread passes through, and the ends of the others.
std::vector<std::string> distractors_of(const std::vector<Thread>& threads, size_t asked) {
  std::vector<std::string> wrong(threads[asked].ids.begin() + 1, threads[asked].ids.end() - 1);
  for (size_t i = 0; i < threads.size(); ++i) {
    if (i != asked) wrong.push_back(threads[i].ids.back());
  }
  return wrong;
}

}  // namespace

void ThreadingTask::fields(FieldsIo& io) {
  io.whole("hops", hops_, {1, 100}, "pairs of a thread, which stand in order");
  io.whole("threads", threads_, {1, 100}, "of one object");
  io.whole("trials", trials_, {1, 10000}, "objects a length");
  io.whole("seed", seed_, kSeeds, "of all that is drawn");
}

DrawnItem ThreadingTask::draw_threads(const EvalSubject& subject, int64_t length,
                                      int64_t trial) const {
  Draw draw("threading", {seed_, length, trial});
  std::vector<Thread> threads;
  std::vector<Hidden> hidden;
  for (int64_t i = 0; i < threads_; ++i) {
    const Thread& thread = threads.emplace_back(draw_thread(hops_, draw));
    for (int64_t hop = 0; hop < hops_; ++hop) {
      hidden.push_back({json_pair(thread.ids[hop], thread.ids[hop + 1]), thread.depths[hop]});
    }
  }
  UuidObject object(draw);
  return largest_item(subject, length, 1, name(), [&](int64_t pairs) {
    const Stack stack = object.make(pairs, hidden);
    DrawnItem item{
        .passage = {"In the JSON object below some values are keys of the same object. Follow the "
                    "specified key from value to value to the last one, which is no key.\n\nJSON "
                    "data:\n",
                    stack.text},
        .questions = {}};
    for (size_t i = 0; i < threads.size(); ++i) {
      Question& question = item.questions.emplace_back();
      question.text = "\n\nKey: \"" + threads[i].ids[0] + "\"\nLast value:";
      question.answers = {threads[i].ids.back()};
      question.answer_prefix = " \"";
      question.distractors = distractors_of(threads, i);
      const auto first = stack.spans.begin() + static_cast<int64_t>(i) * hops_;
      question.evidence = {first, first + hops_};
      question.max_new_tokens = new_tokens_of(subject, question);
    }
    return item;
  });
}

void ThreadingTask::draw_items(const EvalSubject& subject, const std::vector<int64_t>& lengths,
                               const Use& use) const {
  for (const int64_t length : lengths) {
    for (int64_t trial = 0; trial < trials_; ++trial) {
      use(length, draw_threads(subject, length, trial));
    }
  }
}

Json ThreadingTask::rules() const {
  return {
      {"rule",
       "needle threading in words of our own: forward threads at random depths of a JSON object "
       "with the most pairs with which prompt and answer have at most `length` tokens (BOS "
       "included where there is one); no chat template"},
      {"score", "1 if the last value stands in the answer"},
      {"ranked_first",
       "the last value has the least loss a token among those that the thread passes through "
       "and the ends of the other threads"}};
}

}  // namespace longspan
