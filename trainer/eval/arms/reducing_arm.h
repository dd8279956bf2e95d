#pragma once

#include "trainer/eval/arms/arm.h"

namespace longspan {

/// Tokens [begin, end) of a context.
struct TokenRange {
  int64_t begin = 0, end = 0;

  int64_t size() const { return end - begin; }
};

/// What an arm cuts: a context in tokens and in text.
struct LongContext {
  std::vector<int64_t> ids = {};
  std::string text = {};
  std::vector<size_t> byte_ends = {};  // in `text`, of each token
  std::string question = {};           // that what is kept is to answer
  std::vector<Span> evidence = {};     // in `text`
  int64_t budget = 0;                  // tokens to keep at most
  /// A text without a question: what is scored follows right behind, and `question` is its end.
  bool plain_text = false;

  int64_t size() const { return std::ssize(ids); }
  /// The token that the byte is of.
  int64_t token_of(size_t byte) const;
  /// The tokens that hold the bytes.
  TokenRange tokens_of(Span span) const;
  std::string text_of(TokenRange range) const;
};

/// Base of the arms that make a text shorter and have the model read the rest with its own
/// attention: of a passage the context, by each question; of a plain text what stands before the
/// scored tokens.
class ReducingArm : public Arm {
 public:
  /// Adds budget_tokens to the arm's own keys.
  void fields(FieldsIo& io) override;
  std::vector<double> target_nll(const EvalSubject& subject, const std::vector<int64_t>& ids,
                                 int64_t targets) override;
  std::unique_ptr<Reading> read_passage(const EvalSubject& subject, const Passage& passage,
                                        int64_t length) override;

  /// As many as the budget allows.
  int64_t tokens_to_read(const CausalLm& model, int64_t length) const override;
  /// Those of reading what is left; an arm that searches by the model adds its own.
  double flops(CausalLm& model, int64_t length, int64_t tokens_read) const override;
  int64_t kv_bytes(CausalLm& model, int64_t tokens_read) const override;

  bool leaves_out() const override { return true; }
  bool shares_passages() const override { return false; }

  /// The ranges to keep, in order, without overlap and within the budget.
  virtual std::vector<TokenRange> keep(const EvalSubject& subject, const LongContext& context) = 0;
  /// Tokens that the model is to read at most, answer included.
  int64_t budget_tokens(const CausalLm& model) const;

 private:
  int64_t budget_tokens_ = 0;
};

/// `ranges` by falling score, those of one score in their order.
std::vector<TokenRange> by_falling_score(const std::vector<TokenRange>& ranges,
                                         const std::vector<double>& scores);

/// The ranges that fit into the budget when they are taken one after the other, those after one
/// that does not fit too; then in the order of the text.
std::vector<TokenRange> within_budget(const std::vector<TokenRange>& ranges, int64_t budget);

/// `ids` in ranges of `tokens`, the last one shorter.
std::vector<TokenRange> chunks_of(TokenRange whole, int64_t tokens);

/// The share of the context's evidence that is kept whole; none without evidence.
std::optional<double> recall_of(const LongContext& context, const std::vector<TokenRange>& kept);

}  // namespace longspan
