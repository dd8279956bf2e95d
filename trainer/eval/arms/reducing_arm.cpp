#include "trainer/eval/arms/reducing_arm.h"

#include <algorithm>
#include <numeric>

#include "src/core/stopwatch.h"
#include "src/model/context_length.h"
#include "trainer/eval/arms/cached_reading.h"
#include "trainer/eval/arms/full.h"
#include "trainer/eval/window_loss.h"

namespace longspan {

namespace {

/// Of a plain text the end, by which its beginning is searched.
constexpr int64_t kQuestionTokens = 128;

LongContext long_context(const Tokenizer& tokenizer, const std::vector<int64_t>& ids,
                         TokenRange range) {
  LongContext context{.ids = {ids.begin() + range.begin, ids.begin() + range.end}};
  for (const int64_t id : context.ids) {
    context.text += tokenizer.decode({static_cast<int32_t>(id)});
    context.byte_ends.push_back(context.text.size());
  }
  return context;
}

/// The lines of `context` in which an answer stands: not of the letter of a choice, nor of a count.
std::vector<Span> lines_with_answer(const std::string& context, const Question& question) {
  constexpr size_t kTellingBytes = 4;
  const bool is_sign = question.metric == "choice" || question.metric == "count";
  std::vector<Span> lines;
  for (const auto& answer : question.answers) {
    if (answer.empty() || (is_sign && answer.size() < kTellingBytes)) continue;
    for (size_t at = context.find(answer); at != context.npos;
         at = context.find(answer, at + answer.size())) {
      const size_t before = context.rfind('\n', at), after = context.find('\n', at + answer.size());
      lines.push_back({before == context.npos ? 0 : before + 1, std::min(after, context.size())});
    }
  }
  return lines;
}

/// Evidence in Passage::context as places in the text of the tokens, which may begin a little later
/// or earlier: a token can hold the end of the instruction too.
std::vector<Span> evidence_in(const LongContext& context, const std::string& passage,
                              const Question& question) {
  constexpr size_t kNear = 64;  // bytes
  std::vector<Span> moved;
  for (const Span& span :
       question.evidence.empty() ? lines_with_answer(passage, question) : question.evidence) {
    const std::string text = passage.substr(span.begin, span.end - span.begin);
    const size_t found = context.text.find(text, std::max(span.begin, kNear) - kNear);
    const size_t begin =
        std::min(found == context.text.npos ? span.begin : found, context.text.size());
    moved.push_back({begin, std::min(begin + text.size(), context.text.size())});
  }
  return moved;
}

/// The prompt with `kept` of its context alone.
ItemTokens shortened(const ItemTokens& item, const std::vector<TokenRange>& kept) {
  ItemTokens shorter = item;
  const auto begin = item.prompt.begin();
  shorter.prompt.assign(begin, begin + item.context_begin);
  for (const TokenRange& range : kept) {
    const auto first = begin + item.context_begin + range.begin;
    shorter.prompt.insert(shorter.prompt.end(), first, first + range.size());
  }
  shorter.context_end = std::ssize(shorter.prompt);
  shorter.prompt.insert(shorter.prompt.end(), begin + item.context_end, item.prompt.end());
  return shorter;
}

class ReducedReading : public Reading {
 public:
  ReducedReading(const EvalSubject& subject, Passage passage, ReducingArm& arm, int64_t length)
      : subject_(subject), passage_(std::move(passage)), arm_(arm), length_(length) {}

  Answer ask(const Question& question) override {
    const ItemTokens item =
        tokenize_item(subject_.tokenizer, subject_.bos_token_id, passage_, question);
    LongContext context =
        long_context(subject_.tokenizer, item.prompt, {item.context_begin, item.context_end});
    context.question = question.text;
    context.evidence = evidence_in(context, passage_.context, question);
    const int64_t most = std::min(arm_.budget_tokens(subject_.model), length_);
    int64_t answer_tokens = std::ssize(item.answer);
    if (item.size() > most) {  // room for what will be generated, but no more than half
      answer_tokens = std::max(answer_tokens, std::min(question.max_new_tokens, most / 2));
    }
    const int64_t rest = std::ssize(item.prompt) - context.size() + answer_tokens;
    context.budget = std::max<int64_t>(0, most - rest);
    const Stopwatch stopwatch;
    const std::vector<TokenRange> kept = arm_.keep(subject_, context);
    search_seconds_ = std::max(search_seconds_, stopwatch.seconds());
    Answer found = reader_.ask(subject_, shortened(item, kept), question.max_new_tokens);
    found.recall = recall_of(context, kept);
    found.time.passage_seconds += search_seconds_;
    return found;
  }

 private:
  EvalSubject subject_;
  Passage passage_;
  ReducingArm& arm_;
  int64_t length_;
  PromptReader reader_;
  double search_seconds_ = 0;  // with all that questions to the passage share
};

}  // namespace

int64_t LongContext::token_of(size_t byte) const {
  return std::upper_bound(byte_ends.begin(), byte_ends.end(), byte) - byte_ends.begin();
}

TokenRange LongContext::tokens_of(Span span) const {
  const int64_t begin = std::min(token_of(span.begin), size());
  return {begin, span.end > span.begin ? std::min(token_of(span.end - 1) + 1, size()) : begin};
}

std::string LongContext::text_of(TokenRange range) const {
  if (range.size() == 0) return "";
  const size_t begin = range.begin == 0 ? 0 : byte_ends[range.begin - 1];
  return text.substr(begin, byte_ends[range.end - 1] - begin);
}

void ReducingArm::fields(FieldsIo& io) {
  io.whole("budget_tokens", budget_tokens_, {0, int64_t{1} << 30},
           "tokens that the model reads at most, answer included",
           {.otherwise = "the model's length before its RoPE was scaled"});
}

int64_t ReducingArm::budget_tokens(const CausalLm& model) const {
  return budget_tokens_ > 0 ? budget_tokens_ : context_length(model.config()).original;
}

std::vector<double> ReducingArm::target_nll(const EvalSubject& subject,
                                            const std::vector<int64_t>& ids, int64_t targets) {
  const int64_t first = subject.bos_token_id && ids[0] == *subject.bos_token_id ? 1 : 0;
  // The token before the first target stays: it predicts it.
  const int64_t last = std::max(first, std::ssize(ids) - targets - 1);
  LongContext context = long_context(subject.tokenizer, ids, {first, last});
  context.plain_text = true;
  context.question =
      context.text_of({std::max<int64_t>(0, context.size() - kQuestionTokens), context.size()});
  context.budget =
      std::max<int64_t>(0, budget_tokens(subject.model) - (std::ssize(ids) - context.size()));
  std::vector<int64_t> shorter(ids.begin(), ids.begin() + first);
  for (const TokenRange& range : keep(subject, context)) {
    shorter.insert(shorter.end(), ids.begin() + first + range.begin,
                   ids.begin() + first + range.end);
  }
  shorter.insert(shorter.end(), ids.begin() + last, ids.end());
  return window_losses(subject.model, shorter, targets);
}

std::unique_ptr<Reading> ReducingArm::read_passage(const EvalSubject& subject,
                                                   const Passage& passage, int64_t length) {
  return std::make_unique<ReducedReading>(subject, passage, *this, length);
}

int64_t ReducingArm::tokens_to_read(const CausalLm& model, int64_t length) const {
  return std::min(length, budget_tokens(model));
}

double ReducingArm::flops(CausalLm& model, int64_t, int64_t tokens_read) const {
  return FullArm().flops(model, tokens_read, tokens_read);
}

int64_t ReducingArm::kv_bytes(CausalLm& model, int64_t tokens_read) const {
  return FullArm().kv_bytes(model, tokens_read);
}

std::vector<TokenRange> by_falling_score(const std::vector<TokenRange>& ranges,
                                         const std::vector<double>& scores) {
  std::vector<size_t> order(ranges.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::stable_sort(order, [&](size_t a, size_t b) { return scores[a] > scores[b]; });
  std::vector<TokenRange> ranked;
  for (const size_t i : order) ranked.push_back(ranges[i]);
  return ranked;
}

std::vector<TokenRange> within_budget(const std::vector<TokenRange>& ranges, int64_t budget) {
  std::vector<TokenRange> kept;
  for (const TokenRange& range : ranges) {
    if (range.size() > budget) continue;
    budget -= range.size();
    kept.push_back(range);
  }
  std::ranges::sort(kept, {}, &TokenRange::begin);
  return kept;
}

std::vector<TokenRange> chunks_of(TokenRange whole, int64_t tokens) {
  std::vector<TokenRange> chunks;
  for (int64_t begin = whole.begin; begin < whole.end; begin += tokens) {
    chunks.push_back({begin, std::min(begin + tokens, whole.end)});
  }
  return chunks;
}

std::optional<double> recall_of(const LongContext& context, const std::vector<TokenRange>& kept) {
  if (context.evidence.empty()) return std::nullopt;
  const auto holds = [&](int64_t token) {
    return std::ranges::any_of(
        kept, [&](const TokenRange& range) { return range.begin <= token && token < range.end; });
  };
  double found = 0;
  for (const Span& span : context.evidence) {
    const TokenRange tokens = context.tokens_of(span);
    bool whole = true;
    for (int64_t token = tokens.begin; whole && token < tokens.end; ++token) whole = holds(token);
    found += whole ? 1 : 0;
  }
  return found / static_cast<double>(context.evidence.size());
}

}  // namespace longspan
