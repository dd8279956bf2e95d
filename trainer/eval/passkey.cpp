#include "trainer/eval/passkey.h"

#include <algorithm>
#include <limits>
#include <set>

#include "src/core/stopwatch.h"
#include "trainer/eval/finite_loss.h"
#include "trainer/eval/passkey_prompt.h"
#include "trainer/eval/tasks/draw.h"
#include "trainer/eval/tasks/item.h"
#include "trainer/eval/tasks/spread.h"

namespace longspan {

namespace {

/// The questions of one length and depth.
struct PasskeyCell {
  int64_t length = 0;
  double depth = 0;
  std::vector<PasskeyPrompt> prompts = {};
  std::vector<size_t> asked = {};  // of them

  PasskeyRow run(const EvalSubject& subject) const {
    const Stopwatch stopwatch;
    PasskeyRow row{.cell = {.length = length, .depth = depth}};
    for (const size_t trial : asked) {
      const PasskeyPrompt& prompt = prompts[trial];
      const auto reading = subject.arm->read_passage(subject, prompt.item.passage, length);
      const Answer answer = reading->ask(prompt.item.question);
      require_finite(answer.nll, "passkey",
                     fmt::format("at length {} and depth {}", length, depth));
      row.cell.add(answer, score_answer(prompt.item.question, answer));
      row.prompt_tokens +=
          static_cast<double>(prompt.tokens.prompt.size()) / static_cast<double>(asked.size());
    }
    row.cell.seconds = stopwatch.seconds();
    return row;
  }
};

}  // namespace

class Passkey::Drawn final : public DrawnTask {
 public:
  Drawn(const Passkey& task, const EvalSubject& subject, const std::vector<int64_t>& lengths)
      : DrawnTask(task), task_(task) {
    for (const int64_t length : lengths) {
      for (const double depth : task.depths_) {
        PasskeyCell& cell = cells_.emplace_back(PasskeyCell{.length = length, .depth = depth});
        for (int64_t trial = 0; trial < task.trials_; ++trial) {
          const auto key = draw_passkey(static_cast<uint64_t>(task.seed_), length, depth, trial);
          auto prompt =
              build_passkey_prompt(subject.tokenizer, subject.bos_token_id, length, depth, key);
          prompt.item.question.distractors = wrong_passkeys(key);
          prompt.item.question.max_new_tokens = std::ssize(prompt.tokens.answer) + kExtraNewTokens;
          cell.prompts.push_back(std::move(prompt));
        }
      }
    }
    thin(std::numeric_limits<int64_t>::max(), 1);
  }

 protected:
  void thin(int64_t longest, double share) override {
    const auto trials = static_cast<size_t>(task_.trials_);
    const std::vector<size_t> depths = spread_parts(task_.depths_.size(), trials, share);
    for (size_t i = 0; i < cells_.size(); ++i) {
      PasskeyCell& cell = cells_[i];
      const bool is_kept = cell.length <= longest &&
                           std::ranges::find(depths, i % task_.depths_.size()) != depths.end();
      cell.asked = is_kept ? spread_places(trials, share) : std::vector<size_t>{};
    }
  }

  TaskResult ask(const EvalSubject& subject) override {
    TaskResult result{.task = std::string(task_.name()), .protocol = task_.protocol(subject)};
    for (const PasskeyCell& cell : cells_) {
      if (cell.asked.empty()) continue;
      const PasskeyRow row = cell.run(subject);
      result.seconds += row.cell.seconds;
      result.rows.push_back(row.write());
    }
    return result;
  }

 private:
  const Passkey& task_;
  std::vector<PasskeyCell> cells_;
};

void Passkey::check_depths(FieldsIo& io) const {
  if (depths_.empty()) io.error("depths", "is empty, expected a list such as [0, 0.5, 1]");
  std::set<double> known;
  for (const double depth : depths_) {
    if (!(depth >= 0 && depth <= 1)) {
      io.error("depths", fmt::format("{} is not from 0 (start) to 1 (end)", depth));
    }
    if (!known.insert(depth).second) {
      io.error("depths", fmt::format("{} is there twice, which would count its keys twice", depth));
    }
  }
}

void Passkey::fields(FieldsIo& io) {
  if (Fields* map = io.reading()) map->optional("depths", depths_);
  io.put("depths", depths_, {{"type", "array"}}, "where the key stands, 0 (start) to 1 (end)");
  check_depths(io);
  io.whole("trials", trials_, {1, 10000}, "keys a length and depth");
  io.whole("seed", seed_, kSeeds, "of the keys");
}

Json Passkey::protocol(const EvalSubject& subject) const {
  return {
      {"rule",
       "LongLoRA's passkey text with a five-digit key; filler cut by characters so that prompt and "
       "answer together have just at most `length` tokens (BOS included where there is one); depth "
       "is the share of the filler before the key; no chat template"},
      {"decoding",
       fmt::format("greedy, up to {} tokens more than the answer has", kExtraNewTokens)},
      {"correct_if", "the first five digits of the first number generated are the key"},
      {"interval", "Wilson, 95 %"},
      {"answer_nll", "nats a token of ' <key>' with the right tokens fed"},
      {"depths", depths_},
      {"trials", trials_},
      {"seed", seed_},
      {"bos_token_id", subject.bos_token_id ? Json(*subject.bos_token_id) : Json(nullptr)},
      {"tokenizer_fingerprint", subject.tokenizer.fingerprint()},
  };
}

std::unique_ptr<DrawnTask> Passkey::draw(const EvalSubject& subject,
                                         const EvalOptions& options) const {
  return std::make_unique<Drawn>(*this, subject, options.lengths);
}

}  // namespace longspan
