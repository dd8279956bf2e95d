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

/// InfiniteBench's prompts for base models (yarn_mistral_templates of its prompt.py), those that
/// are not in Chinese; {} is the input, or what it asks for.
constexpr InfiniteBenchPrompt kInfiniteBench[] = {
    {"passkey",
     "There is an important info hidden inside a lot of irrelevant text. Find it and memorize it. "
     "I will quiz you about the important information.\n\n",
     "\n\n{}\n\nThe pass key is", "number", 8},
    {"number_string",
     "There is an important info hidden inside a lot of irrelevant text. Find it. I will quiz you "
     "about the important information there.\n\n",
     "\n\n{}\n\nThe sequence of digits is", "number", 16},
    {"kv_retrieval",
     "Extract the value corresponding to the specified key in the JSON object below.\n\n", "\n\n{}",
     "substring", 50},
    {"longbook_qa_eng",
     "Read the book and answer the question. Be very concise in your answer.\n\n",
     "\n\nQuestion: {}\nAnswer:", "f1", 40},
    {"longbook_choice_eng", "Read the book and answer the question.\n\n",
     "\n\nQuestion: {}\n\nThe letter of the correct answer is", "choice", 1},
    {"longdialogue_qa_eng",
     "Below is a dialogue script where one random occurrence of a character name is replaced with "
     "\"$$MASK$$\", and you should try to guess who that character is.\n\n",
     "\n\nThe name that has been replaced with $$MASK$$ is likely", "substring", 40},
    {"longbook_sum_eng", "Summarize the book below.\n\n", "\n\nSummary:", "rouge_lsum", 1200},
    {"code_debug",
     "Following is a Python code where exactly one of the functions/methods has a deliberate error "
     "that makes it crash.\n\n",
     "\n\nOptions:{}\n\nThe correct option is:", "choice", 1},
    {"code_run", "There is a function called {} in the following Python code.\n\n",
     "\n\nPlease compute the exact value of {0}. The value of {0} is", "last_word", 5},
    {"math_find", "What is {} in the following list?\n\n", "\n\n{}", "number", 8},
    {"math_calc",
     "Let us calculate the intermediate values of an expression.\n\nExpression: 1 + 3 + 4\nValues: "
     "[1, 4, 8]\n\nExpression: 8 - 3 + 2 - 4\nValues: [8, 5, 7, 3]\n\nExpression: ",
     "\nValues:", "leading", 30000},
};

/// "func_3(-5)" of an input that asks for its value.
std::string function_call(const std::string& input, const ItemRecord& record) {
  const size_t begin = input.find("func_");
  const size_t end = begin == input.npos ? begin : input.find(')', begin);
  if (end != input.npos) return input.substr(begin, end + 1 - begin);
  record.fields.error("input", fmt::format("'{}' names no call such as func_3(5)", input));
  return input;
}

/// "the largest number" of an input that asks for "The largest number of the list".
std::string number_asked_for(const std::string& input, const ItemRecord& record) {
  const size_t begin = input.find("The ");
  const size_t end = begin == input.npos ? begin : input.rfind(" of");
  if (end != input.npos && end > begin) return lower_case(input.substr(begin, end - begin));
  record.fields.error("input",
                      fmt::format("'{}' names no number, expected one such as 'The largest "
                                  "number of the list is:'",
                                  input));
  return input;
}

/// What the instruction asks for by name, where it does.
std::string named_in_instruction(std::string_view task, const std::string& input,
                                 const ItemRecord& record) {
  if (task == "code_run") return input.substr(0, input.find('('));
  return task == "math_find" ? number_asked_for(input, record) : "";
}

/// Sets letters to be ranked, and returns what stands in the prompt: "\nA. ..\nB. ..".
std::string list_options(Question& question, const ItemRecord& record) {
  const std::vector<std::string> options = required_texts(record, "options");
  std::vector<std::string> letters;
  std::string list, right = question.answers.empty() ? "" : question.answers[0];
  for (const auto& option : options) {
    letters.emplace_back(1, static_cast<char>('A' + letters.size()));
    list += fmt::format("\n{}. {}", letters.back(), option);
  }
  const auto place = std::ranges::find(options, right);
  if (place == options.end()) {
    record.fields.error("answer", fmt::format("'{}' is none of {}", right, join(options, ", ")));
  } else {
    set_choices(question, letters, letters[place - options.begin()], record, "answer");
  }
  return list;
}

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
  record.fields.required("context", item.passage.context);
  std::string input;
  record.fields.required("input", input);
  Question& question = item.questions.emplace_back(Question{.metric = std::string(prompt->metric)});
  question.subset = prompt->task;
  if (prompt->task == "code_run") input = function_call(input, record);
  question.max_new_tokens = prompt->max_new_tokens;
  question.answers = required_texts(record, "answer");
  if (question.metric == "choice") {
    const std::string options = list_options(question, record);
    input = prompt->task == "code_debug" ? options : input + options;
  }
  item.passage.instruction =
      fmt::format(fmt::runtime(prompt->before), named_in_instruction(prompt->task, input, record));
  question.text = fmt::format(fmt::runtime(prompt->behind), input);
  if (question.metric == "leading") {  // each value is one, and the answer a list of them
    question.references = question.answers;
    question.answers = {"[" + join(question.references, ", ") + "]"};
  }
  return item;
}

}  // namespace longspan
