#include "trainer/eval/arms/recording_arm.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "src/core/digest.h"
#include "src/core/fields.h"
#include "src/core/process_memory.h"
#include "src/core/stopwatch.h"
#include "trainer/eval/arms/answer_json.h"
#include "trainer/eval/tasks/evaluated_text.h"
#include "trainer/eval/tasks/item.h"

namespace longspan {

namespace {

/// As it is when a journal has it back: bytes that are not UTF-8 are U+FFFD.
Json as_read_back(const Json& json) { return Json::parse(json_line(json)); }

/// What it took to find what the journal has.
struct Taken {
  double seconds = 0;
  int64_t peak_bytes = 0;
};

/// Throws Error(kCheckpoint) that names `place` where it is not as found_or() wrote it.
Taken read_taken(const Json& found, const std::string& place) {
  Diagnostics diagnostics(place);
  Fields fields(found, diagnostics);
  Taken taken;
  fields.required("seconds", taken.seconds);
  fields.required("peak_bytes", taken.peak_bytes);
  diagnostics.throw_if_any(ExitCode::kCheckpoint);
  return taken;
}

/// The same of the losses of `targets` tokens.
std::vector<double> read_losses(const Json& found, int64_t targets, const std::string& place) {
  Diagnostics diagnostics(place);
  Fields fields(found, diagnostics);
  std::vector<double> losses;
  fields.required("nll", losses);
  if (std::ssize(losses) != targets) {
    fields.error(
        "nll", fmt::format("has {} losses, expected {}; remove the file", losses.size(), targets));
  }
  diagnostics.throw_if_any(ExitCode::kCheckpoint);
  return losses;
}

}  // namespace

class RecordingArm::RecordingReading : public Reading {
 public:
  RecordingReading(RecordingArm& arm, const EvalSubject& subject, Passage passage, int64_t length)
      : arm_(arm), subject_(subject), passage_(std::move(passage)), length_(length) {}

  Answer ask(const Question& question) override {
    const std::string key = arm_.question_of(
        subject_, {{"length", length_}, {"item", write_item({passage_, question})}});
    const Json found = arm_.found_or(key, length_, [&] {
      if (!reading_) reading_ = arm_.arm_->read_passage(subject_, passage_, length_);
      const Answer answer = reading_->ask(question);
      return std::isfinite(answer.nll) ? write_answer(answer) : Json();
    });
    if (found.is_null()) return {.nll = std::nan("")};
    const Answer answer = read_answer(found, arm_.record_.journal.place_of(key));
    arm_.hand_over(length_,
                   {{"question", question.text},
                    {"answers", question.answers},
                    {"metric", question.metric},
                    {"score", score_answer(question, answer)}},
                   found);
    const AnswerTime& time = answer.time;
    // Questions share a passage; for each its first token comes after all of it.
    if (passage_seconds_ == 0 || time.passage_seconds > passage_seconds_ / 2) {
      passage_seconds_ = time.passage_seconds;
      arm_.count_pass(subject_.model, length_, answer.tokens_read,
                      time.passage_seconds + time.first_token_seconds);
    }
    arm_.record_.costs.of(arm_.label_, length_)
        .add_answer(passage_seconds_ + time.first_token_seconds, time.decode_seconds,
                    time.generated_tokens);
    return answer;
  }

 private:
  RecordingArm& arm_;
  EvalSubject subject_;
  Passage passage_;
  int64_t length_;
  std::unique_ptr<Reading> reading_;  // made for the first question that the journal does not have
  double passage_seconds_ = 0;
};

RecordingArm::RecordingArm(std::shared_ptr<Arm> arm, std::string label, std::string task,
                           ArmRecord record)
    : arm_(std::move(arm)),
      label_(std::move(label)),
      task_(std::move(task)),
      record_(std::move(record)) {}

void RecordingArm::count_pass(CausalLm& model, int64_t length, int64_t tokens_read,
                              double seconds) {
  CostMeter& cost = record_.costs.of(label_, length);
  cost.add_pass(seconds, tokens_read);
  cost.flops = arm_->flops(model, length, cost.tokens_of_a_pass());
  cost.kv_bytes = arm_->kv_bytes(model, cost.tokens_of_a_pass());
}

std::string RecordingArm::question_of(const EvalSubject& subject, const Json& item) const {
  const Json key = {{"task", task_},
                    {"arm", arm_->name()},
                    {"keys", arm_->settings(subject.model.config())},
                    {"asked", item}};
  Digest digest;
  digest.update(json_line(key));
  return label_ + " " + digest.hex().substr(0, 32);
}

void RecordingArm::hand_over(int64_t length, const Json& asked, const Json& found) const {
  if (!record_.on_answer) return;
  Json answer = {{"task", task_}, {"arm", label_}, {"length", length}};
  answer.update(asked);
  answer.update(found);
  record_.on_answer(answer);
}

Json RecordingArm::found_or(const std::string& question, int64_t length,
                            const std::function<Json()>& measure) {
  Json found;
  if (const Json* known = record_.journal.find(question)) {
    found = *known;
  } else {
    reset_peak_memory();
    const Stopwatch stopwatch;
    found = as_read_back(measure());
    const double seconds = stopwatch.seconds();
    if (found.is_null()) return found;
    found["seconds"] = seconds;
    found["peak_bytes"] = peak_memory_bytes();
    record_.journal.add(question, found);
  }
  const Taken taken = read_taken(found, record_.journal.place_of(question));
  record_.costs.of(label_, length).add_peak(taken.peak_bytes);
  record_.on_item(length, taken.seconds);
  return found;
}

std::vector<double> RecordingArm::target_nll(const EvalSubject& subject,
                                             const std::vector<int64_t>& ids, int64_t targets) {
  const int64_t length = std::ssize(ids);
  std::vector<double>& known = record_.scored_texts[{label_, ids_digest(ids)}];
  Json found = Json::object();
  if (std::ssize(known) < targets) {
    const std::string question = question_of(subject, {{"ids", ids}, {"targets", targets}});
    found = found_or(question, length, [&] {
      const auto losses = arm_->target_nll(subject, ids, targets);
      const bool finite = std::ranges::all_of(losses, [](double x) { return std::isfinite(x); });
      return finite ? Json{{"nll", losses}} : Json();
    });
    if (found.is_null()) return std::vector<double>(static_cast<size_t>(targets), std::nan(""));
    known = read_losses(found, targets, record_.journal.place_of(question));
    count_pass(subject.model, length, arm_->tokens_of_text(subject.model, length, targets),
               found.at("seconds").get<double>());
  } else {
    record_.on_item(length, 0);
  }
  const std::vector<double> losses(known.end() - targets, known.end());
  found["nll"] = losses;
  hand_over(length, Json::object(), found);
  return losses;
}

std::unique_ptr<Reading> RecordingArm::read_passage(const EvalSubject& subject,
                                                    const Passage& passage, int64_t length) {
  return std::make_unique<RecordingReading>(*this, subject, passage, length);
}

}  // namespace longspan
