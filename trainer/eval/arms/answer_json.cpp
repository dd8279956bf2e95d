#include "trainer/eval/arms/answer_json.h"

#include <iterator>

namespace longspan {

namespace {

constexpr const char* kTimes[] = {"passage_seconds", "first_token_seconds", "decode_seconds"};

double AnswerTime::*const kTimeMembers[] = {
    &AnswerTime::passage_seconds, &AnswerTime::first_token_seconds, &AnswerTime::decode_seconds};

}  // namespace

Json write_answer(const Answer& answer) {
  Json json = {{"text", answer.text},
               {"nll", answer.nll},
               {"token_accuracy", answer.token_accuracy},
               {"rank", answer.rank ? Json(*answer.rank) : Json()},
               {"choice_nll", answer.choice_nll ? Json(*answer.choice_nll) : Json()},
               {"tokens_read", answer.tokens_read},
               {"recall", answer.recall ? Json(*answer.recall) : Json()},
               {"generated_tokens", answer.time.generated_tokens}};
  for (size_t i = 0; i < std::size(kTimes); ++i) json[kTimes[i]] = answer.time.*kTimeMembers[i];
  return json;
}

Answer read_answer(const Json& json, const std::string& place) {
  Diagnostics diagnostics(place);
  Fields fields(json, diagnostics);
  Answer answer;
  fields.required("text", answer.text);
  fields.required("nll", answer.nll);
  fields.required("token_accuracy", answer.token_accuracy);
  if (fields.has("rank")) fields.required("rank", answer.rank.emplace());
  if (fields.has("choice_nll")) fields.required("choice_nll", answer.choice_nll.emplace());
  fields.required("tokens_read", answer.tokens_read);
  if (fields.has("recall")) fields.required("recall", answer.recall.emplace());
  fields.required("generated_tokens", answer.time.generated_tokens);
  for (size_t i = 0; i < std::size(kTimes); ++i) {
    fields.required(kTimes[i], answer.time.*kTimeMembers[i]);
  }
  diagnostics.throw_if_any(ExitCode::kCheckpoint);
  return answer;
}

Json write_item(const Item& item) {
  Json json = {{"context", item.passage.instruction + item.passage.context},
               {"question", item.question.text},
               {"answers", item.question.answers},
               {"answer_prefix", item.question.answer_prefix},
               {"max_new_tokens", item.question.max_new_tokens}};
  if (!item.question.distractors.empty()) json["distractors"] = item.question.distractors;
  return json;
}

Json write_scoring(const Question& question) {
  return {{"metric", question.metric},
          {"references", question.references_or_answers()},
          {"first_line_only", question.first_line_only},
          {"depth", question.depth ? Json(*question.depth) : Json()},
          {"subset", question.subset}};
}

}  // namespace longspan
