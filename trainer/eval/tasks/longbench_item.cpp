#include <algorithm>
#include <iterator>
#include <string>
#include <string_view>

#include "src/core/text.h"
#include "trainer/eval/tasks/item_format.h"

namespace longspan {

namespace {

/// What stands before and behind {context}; {} is the input.
struct LongBenchPrompt {
  std::string_view dataset, before, behind, metric;
  int64_t max_new_tokens;
  bool first_line_only = false;
};

constexpr std::string_view kPassages =
    "Answer the question based on the given passages. Only give me the answer and do not output "
    "any other words.\n\nThe following are given passages.\n";
constexpr std::string_view kPassagesQuestion =
    "\n\nAnswer the question based on the given passages. Only give me the answer and do not "
    "output any other words.\n\nQuestion: {}\nAnswer:";

/// LongBench's config/dataset2prompt.json and dataset2maxlen.json, the English and code ones.
constexpr LongBenchPrompt kLongBench[] = {
    {"narrativeqa",
     "You are given a story, which can be either a novel or a movie script, and a question. Answer "
     "the question as concisely as you can, using a single phrase if possible. Do not provide any "
     "explanation.\n\nStory: ",
     "\n\nNow, answer the question based on the story as concisely as you can, using a single "
     "phrase if possible. Do not provide any explanation.\n\nQuestion: {}\n\nAnswer:",
     "f1", 128},
    {"qasper",
     "You are given a scientific article and a question. Answer the question as concisely as you "
     "can, using a single phrase or sentence if possible. If the question cannot be answered based "
     "on the information in the article, write \"unanswerable\". If the question is a yes/no "
     "question, answer \"yes\", \"no\", or \"unanswerable\". Do not provide any "
     "explanation.\n\nArticle: ",
     "\n\n Answer the question based on the above article as concisely as you can, using a single "
     "phrase or sentence if possible. If the question cannot be answered based on the information "
     "in the article, write \"unanswerable\". If the question is a yes/no question, answer "
     "\"yes\", \"no\", or \"unanswerable\". Do not provide any explanation.\n\nQuestion: "
     "{}\n\nAnswer:",
     "f1", 128},
    {"multifieldqa_en", "Read the following text and answer briefly.\n\n",
     "\n\nNow, answer the following question based on the above text, only give me the answer and "
     "do not output any other words.\n\nQuestion: {}\nAnswer:",
     "f1", 64},
    {"hotpotqa", kPassages, kPassagesQuestion, "f1", 32},
    {"2wikimqa", kPassages, kPassagesQuestion, "f1", 32},
    {"musique", kPassages, kPassagesQuestion, "f1", 32},
    {"gov_report",
     "You are given a report by a government agency. Write a one-page summary of the "
     "report.\n\nReport:\n",
     "\n\nNow, write a one-page summary of the report.\n\nSummary:", "rouge_l", 512},
    {"qmsum",
     "You are given a meeting transcript and a query containing a question or instruction. Answer "
     "the query in one or more sentences.\n\nTranscript:\n",
     "\n\nNow, answer the query based on the above meeting transcript in one or more "
     "sentences.\n\nQuery: {}\nAnswer:",
     "rouge_l", 512},
    {"multi_news",
     "You are given several news passages. Write a one-page summary of all news. \n\nNews:\n",
     "\n\nNow, write a one-page summary of all the news.\n\nSummary:", "rouge_l", 512},
    {"trec",
     "Please determine the type of the question below. Here are some examples of questions.\n\n",
     "\n{}", "class", 64, true},
    {"triviaqa",
     "Answer the question based on the given passage. Only give me the answer and do not output "
     "any other words. The following are some examples.\n\n",
     "\n\n{}", "f1", 32, true},
    {"samsum",
     "Summarize the dialogue into a few short sentences. The following are some examples.\n\n",
     "\n\n{}", "rouge_l", 128, true},
    {"passage_count",
     "There are some paragraphs below sourced from Wikipedia. Some of them may be duplicates. "
     "Please carefully read these paragraphs and determine how many unique paragraphs there are "
     "after removing duplicates. In other words, how many non-repeating paragraphs are there in "
     "total?\n\n",
     "\n\nPlease enter the final count of unique paragraphs after removing duplicates. The output "
     "format should only contain the number, such as 1, 2, 3, and so on.\n\nThe final answer is:",
     "count", 32},
    {"passage_retrieval_en",
     "Here are 30 paragraphs from Wikipedia, along with an abstract. Please determine which "
     "paragraph the abstract is from.\n\n",
     "\n\nThe following is an abstract.\n\n{}\n\nPlease enter the number of the paragraph that the "
     "abstract is from. The answer format must be like \"Paragraph 1\", \"Paragraph 2\", "
     "etc.\n\nThe answer is:",
     "count", 32},
    {"lcc", "Please complete the code given below. \n", "Next line of code:\n", "edit_similarity",
     64},
    {"repobench-p", "Please complete the code given below. \n", "{}Next line of code:\n",
     "edit_similarity", 64},
};

std::string filled(std::string_view pattern, const std::string& input) {
  std::string text(pattern);
  if (const size_t at = text.find("{}"); at != std::string::npos) text.replace(at, 2, input);
  return text;
}

}  // namespace

/// {input, context, answers, dataset[, all_classes]}.
DrawnItem read_longbench_item(const ItemRecord& record) {
  std::string dataset, input;
  record.fields.required("dataset", dataset);
  record.fields.optional("input", input);
  if (dataset.ends_with("_e")) dataset.resize(dataset.size() - 2);
  const auto* prompt = std::find_if(std::begin(kLongBench), std::end(kLongBench),
                                    [&](const auto& entry) { return entry.dataset == dataset; });
  DrawnItem item;
  if (prompt == std::end(kLongBench)) {
    std::vector<std::string> known;
    for (const auto& entry : kLongBench) known.emplace_back(entry.dataset);
    record.fields.error("dataset", fmt::format("'{}' is not known here; expected one of {}",
                                               dataset, join(known, ", ")));
    return item;
  }
  item.passage.instruction = prompt->before;
  record.fields.required("context", item.passage.context);
  Question& question = item.questions.emplace_back(Question{.metric = std::string(prompt->metric)});
  question.subset = dataset;
  question.first_line_only = prompt->first_line_only;
  question.text = filled(prompt->behind, input);
  question.answers = required_texts(record, "answers");
  question.max_new_tokens = prompt->max_new_tokens;
  if (question.metric == "edit_similarity") question.answer_prefix = "";
  if (dataset == "passage_retrieval_en") {
    for (const auto& answer : question.answers) {
      question.references.push_back(answer.substr(answer.find_last_of(' ') + 1));  // "Paragraph 7"
    }
  }
  if (question.metric == "class" && !question.answers.empty()) {
    question.references = {question.answers[0]};
    for (const auto& name : required_texts(record, "all_classes")) {
      if (name != question.references[0]) question.references.push_back(name);
    }
  }
  return item;
}

/// {question, choice_A .. choice_D, answer, context, difficulty}: the letter of least loss, where
/// the benchmark looks for one in a generated answer.
DrawnItem read_longbench_v2_item(const ItemRecord& record) {
  DrawnItem item;
  item.passage.instruction = "Please read the following text and answer the question below.\n\n";
  record.fields.required("context", item.passage.context);
  std::string text, right;
  record.fields.required("question", text);
  record.fields.required("answer", right);
  Question& question = item.questions.emplace_back();
  record.fields.optional("length", question.subset);
  std::string choices;
  const std::vector<std::string> letters{"A", "B", "C", "D"};
  for (const auto& letter : letters) {
    std::string choice;
    record.fields.required("choice_" + letter, choice);
    choices += fmt::format("\n({}) {}", letter, choice);
  }
  question.text = fmt::format(
      "\n\nWhat is the correct answer to this question: {}\nChoices:{}\n\nThe correct answer is (",
      text, choices);
  question.answer_prefix = "";
  question.max_new_tokens = 1;
  set_choices(question, letters, right, record, "answer");
  return item;
}

}  // namespace longspan
