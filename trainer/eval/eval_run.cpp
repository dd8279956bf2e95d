#include "trainer/eval/eval_run.h"

#include "src/core/log.h"

namespace longspan {

namespace {

constexpr double kSecondsBetweenLines = 30;  // where stderr is a file

}  // namespace

void check_arms(const std::vector<NamedArm>& arms, const EvalSubject& subject) {
  for (const NamedArm& arm : arms) {
    if (arm.arm->needs_own_model() && !arm.model) {
      fail(ExitCode::kUsage,
           "arm {0}: reads with a model of its own; name it: --model-of-arm {0}=MODEL", arm.label);
    }
    arm.arm->check(arm.subject(subject));
  }
}

EvalRun::EvalRun(const EvalSubject& subject, std::vector<NamedArm> arms,
                 std::vector<int64_t> lengths, std::vector<EvalWork> work, AnswerJournal& journal,
                 std::function<void(const Json& answer)> on_answer)
    : subject_(subject),
      arms_(std::move(arms)),
      journal_(journal),
      on_answer_(std::move(on_answer)),
      costs_(std::move(lengths)),
      progress_(std::move(work)) {}

TaskResult EvalRun::run(DrawnTask& task) {
  TaskResult whole{.task = std::string(task.task().name())};
  for (const NamedArm& arm : arms_) {
    if (!arm.does(task.task())) {
      log_warning_once("arm {}: takes no part in {}: it {}", arm.label, whole.task,
                       arm.obstacle(task.task()));
      continue;
    }
    const auto on_item = [&](int64_t length, double seconds) {
      progress_.done(whole.task, arm.label, length, seconds);
      show();
    };
    EvalSubject reader = arm.subject(subject_);
    reader.arm = std::make_shared<RecordingArm>(
        arm.arm, arm.label, whole.task,
        ArmRecord{journal_, costs_, scored_texts_, on_item, on_answer_});
    TaskResult part = task.run(reader);
    whole.protocol = std::move(part.protocol);
    whole.seconds += part.seconds;
    for (const auto& row : part.rows) {
      Json named = {{"arm", arm.label}};
      named.update(row);
      whole.rows.push_back(std::move(named));
    }
  }
  show_progress("");
  return whole;
}

void EvalRun::show() {
  if (stderr_is_terminal()) return show_progress(progress_.line());
  if (since_line_.seconds() < kSecondsBetweenLines) return;
  since_line_.restart();
  log_info(progress_.line());
}

}  // namespace longspan
