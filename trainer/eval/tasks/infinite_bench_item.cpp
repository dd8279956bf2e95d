#include <algorithm>
#include <iterator>
#include <string>
#include <string_view>

#include "src/core/text.h"
#include "trainer/eval/tasks/item_format.h"

namespace longspan {

namespace {

struct InfiniteBenchPrompt {
  std::string_view task, before, behind, metric;
  int64_t max_new_tokens;
};

/// InfiniteBench's prompts, with the beginning of the answer behind them, for base models.
constexpr InfiniteBenchPrompt kInfiniteBench[] = {
    {"passkey",
     "There is an important info hidden inside a lot of irrelevant text. Find it and memorize "
     "them. I will quiz you about the important information there.\n\n",
     "\n\n{}\n\nThe pass key is", "number", 8},
    {"number_string",
     "There is an important info hidden inside a lot of irrelevant text. Find it. I will quiz you "
     "about the important information there.\n\n",
     "\n\n{}\n\nThe sequence of digits is", "number", 16},
    {"kv_retrieval",
     "Extract the value corresponding to the specified key in the JSON object below.\n\n", "\n\n{}",
     "substring", 50},
    {"longbook_qa_eng", "Read the book below and answer a question.\n\n",
     "\n\nQuestion: {}\n\nBe very concise.\nAnswer:", "f1", 40},
    {"longbook_choice_eng", "Read the book and answer the question.\n\n",
     "\n\nQuestion: {}\nAnswer:", "choice", 1},
    {"longdialogue_qa_eng",
     "Below is a dialogue script where one random occurrence of a character name is replaced with "
     "\"$$MASK$$\", and you should try to guess who that character is.\n\n",
     "\n\nThe name that has been replaced with $$MASK$$ is likely", "substring", 40},
    {"math_find", "", "\n\n{}\nAnswer:", "number", 8},
};

}  // namespace

/// {context, input, answer[, options]}; the file is named after the task.
DrawnItem read_infinite_bench_item(const ItemRecord& record) {
  const std::string file = record.file.filename().string();
  const auto* prompt =
      std::find_if(std::begin(kInfiniteBench), std::end(kInfiniteBench),
                   [&](const auto& entry) { return file.starts_with(entry.task); });
  DrawnItem item;
  if (prompt == std::end(kInfiniteBench)) {
    std::vector<std::string> known;
    for (const auto& entry : kInfiniteBench) known.emplace_back(entry.task);
    record.fields.error("context", fmt::format("the file is named after no task that is known "
                                               "here; expected {}.jsonl",
                                               join(known, ".jsonl, ")));
    return item;
  }
  item.passage.instruction = prompt->before;
  record.fields.required("context", item.passage.context);
  std::string input;
  record.fields.required("input", input);
  ScoredQuestion& scored =
      item.questions.emplace_back(ScoredQuestion{.metric = std::string(prompt->metric)});
  scored.subset = prompt->task;
  scored.question.text = prompt->behind;
  if (const size_t at = scored.question.text.find("{}"); at != std::string::npos) {
    scored.question.text.replace(at, 2, input);
  }
  scored.question.max_new_tokens = prompt->max_new_tokens;
  scored.question.answers = required_texts(record, "answer");
  if (scored.metric == "choice" && !scored.question.answers.empty()) {
    set_choices(scored, required_texts(record, "options"), scored.question.answers[0], record,
                "answer");
  }
  return item;
}

}  // namespace longspan
