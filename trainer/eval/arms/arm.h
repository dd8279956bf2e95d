#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/documents/span.h"
#include "trainer/eval/eval_subject.h"
#include "trainer/eval/settable.h"

namespace longspan {

/// What all questions of one item share. Text, since some arms cut it.
struct Passage {
  std::string instruction = {};  // before the context, never cut
  std::string context = {};      // what arms may cut, thin out or search
};

struct Question {
  std::string text = {};                  // follows the context and ends where the answer begins
  std::vector<std::string> answers = {};  // right ones; the first is what is fed
  std::string answer_prefix = " ";        // before each answer and distractor
  std::vector<std::string> distractors = {};  // wrong answers to rank the right one among
  std::vector<Span> evidence = {};            // where the answer stands in the context
  int64_t max_new_tokens = 32;

  // What the answer is scored by, and which row it counts in. No arm reads by them.
  std::string metric = "substring";          // one of scorers(), or "choice": ranked first
  std::vector<std::string> references = {};  // what the metric compares with; none: `answers`
  bool first_line_only = false;              // of the answer: what follows is another example
  std::optional<double> depth = {};          // where what is asked for stands, 0 to 1
  std::string subset = {};

  const std::vector<std::string>& references_or_answers() const {
    return references.empty() ? answers : references;
  }
};

/// A question with the passage that it is about.
struct Item {
  Passage passage;
  Question question;
};

/// What it took to answer.
struct AnswerTime {
  double passage_seconds = 0;      // reading what questions share; 0 where it was read before
  double first_token_seconds = 0;  // from there to the first generated token
  double decode_seconds = 0;       // from the first generated token to the last
  int64_t generated_tokens = 0;
};

struct Answer {
  std::string text = {};      // greedy, up to Question::max_new_tokens
  double nll = 0;             // nats a token of answers[0] with the right tokens fed
  double token_accuracy = 0;  // of the same pass: the tokens that are the model's first choice
  std::optional<int64_t> rank = {};  // of answers[0] among it and the distractors by nll a token, 1
                                     // is the first; none without distractors
  /// Nats of the tokens of answers[0] that tell it from the distractors: from the first in which
  /// one of them differs to that by which all have. What follows can be copied once they are known.
  std::optional<double> choice_nll = {};
  int64_t tokens_read = 0;            // by the model, of instruction, context and question
  std::optional<double> recall = {};  // the share of evidence that an arm that cuts has kept
  AnswerTime time = {};
};

/// A passage as an arm reads it, to be asked any number of questions in any order: no answer
/// depends on another question.
class Reading {
 public:
  virtual ~Reading() = default;
  /// Where the loss is not finite, `nll` says so and nothing is generated.
  virtual Answer ask(const Question& question) = 0;
};

/// One road to length over one checkpoint: how a text longer than the model is at home with is
/// read. A new arm is a file and a line in arm.cpp. Most are one of two kinds, which leave little
/// to write: a ReadingArm (reading_arm.h) changes how the model reads all of the text, a
/// ReducingArm (reducing_arm.h) says what it keeps of it.
class Arm : public Settable {
 public:
  /// Whether it can read a text that no question follows.
  virtual bool reads_plain_text() const { return true; }
  /// Whether it reads what holds the answer.
  virtual bool needs_evidence() const { return false; }
  /// Whether it may give the model a part of a text only.
  virtual bool leaves_out() const { return false; }
  /// False for one that tells no more of an answer than the tokens that are right, and one more.
  virtual bool tells_whole_answers() const { return true; }
  /// False for one that reads nothing and only hears what a task asks: nothing follows from its
  /// answers.
  virtual bool reads() const { return true; }
  /// Whether it is about another model than that of all arms.
  virtual bool needs_own_model() const { return false; }
  /// Throws Error(kUsage) for a model that it cannot make anything of.
  virtual void check(const EvalSubject& subject) const { (void)subject; }

  /// Its keys as they are in effect over a model of this config.
  virtual Json settings(const ModelConfig& config) const {
    (void)config;
    return write();
  }

  /// The loss in nats of each of the last `targets` of `ids`, read with what the arm keeps of the
  /// tokens before them. 1 <= targets < size.
  virtual std::vector<double> target_nll(const EvalSubject& subject,
                                         const std::vector<int64_t>& ids, int64_t targets) = 0;
  /// Nothing is read before the first question. With its question and answer no item has more than
  /// `length` tokens.
  virtual std::unique_ptr<Reading> read_passage(const EvalSubject& subject, const Passage& passage,
                                                int64_t length) = 0;

  /// About how many tokens of an item of `length` the model reads.
  virtual int64_t tokens_to_read(const CausalLm& model, int64_t length) const {
    (void)model;
    return length;
  }
  /// The same of a text of `length` whose last `targets` are scored.
  virtual int64_t tokens_of_text(const CausalLm& model, int64_t length, int64_t targets) const {
    (void)targets;
    return tokens_to_read(model, length);
  }
  /// Multiplications and additions, by formula, to read so many tokens of an item of `length` and
  /// choose the first token of the answer.
  virtual double flops(CausalLm& model, int64_t length, int64_t tokens_read) const = 0;
  /// Bytes of the keys and values that are then kept, by formula; 0 where none are.
  virtual int64_t kv_bytes(CausalLm& model, int64_t tokens_read) const = 0;
  /// Whether the questions to a passage share the reading of it.
  virtual bool shares_passages() const { return true; }
};

std::vector<std::string> eval_arms();
/// "retrieval.chunk_tokens=256": each key of each arm with its default.
std::vector<std::string> eval_arm_keys();
/// nullptr when there is no arm of that name.
std::unique_ptr<Arm> make_arm(std::string_view name);
std::shared_ptr<Arm> full_arm();

}  // namespace longspan
