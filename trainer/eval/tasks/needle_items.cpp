#include "trainer/eval/tasks/needle_items.h"

#include <fmt/format.h>

#include <algorithm>

namespace longspan {

namespace {

using Kind = NeedleDesign::Kind;

/// Keys and values of one item; needle i has value i, and key i or the only one.
struct Needles {
  std::vector<std::string> keys, values, strangers;  // strangers: values that hide nowhere
};

Needles draw_keys_and_values(const NeedleDesign& design, Draw& draw, std::set<std::string>& taken) {
  const auto count = std::ssize(design.depths);
  const auto key = [&] { return design.uuid_keys ? draw.uuid() : draw.word_pair(); };
  const auto value = [&] { return design.uuid_values ? draw.uuid() : draw.number(7); };
  return {.keys = distinct(design.kind == Kind::kMultiValue ? 1 : count, taken, key),
          .values = distinct(count, taken, value),
          .strangers = distinct(design.distractors, taken, value)};
}

std::string needle_text(const NeedleDesign& design, const std::string& key,
                        const std::string& value) {
  return fmt::format("One of the special magic {} for {} is: {}.",
                     design.uuid_values ? "uuids" : "numbers", key, value);
}

/// "a, b, and c" as RULER lists queries.
std::string listed(const std::vector<std::string>& names) {
  std::string text = names[0];
  for (size_t i = 1; i < names.size(); ++i) {
    text += (i + 1 == names.size() ? ", and " : ", ") + names[i];
  }
  return text;
}

std::string instruction_of(const NeedleDesign& design) {
  const std::string_view kind = design.uuid_values ? "uuid" : "number";
  if (design.kind == Kind::kMultiKey) {
    return fmt::format(
        "A special magic {0} is hidden within the following text. Make sure to memorize it. I will "
        "quiz you about the {0} afterwards.\n",
        kind);
  }
  return fmt::format(
      "Some special magic {0}s are hidden within the following text. Make sure to memorize it. I "
      "will quiz you about the {0}s afterwards.\n",
      kind);
}

std::string question_of(const NeedleDesign& design, const std::string& query) {
  const std::string_view kind = design.uuid_values ? "uuid" : "number";
  if (design.kind == Kind::kMultiKey) {
    return fmt::format(
        "\nWhat is the special magic {0} for {1} mentioned in the provided text? The special magic "
        "{0} for {1} mentioned in the provided text is",
        kind, query);
  }
  return fmt::format(
      "\nWhat are all the special magic {0}s for {1} mentioned in the provided text? The special "
      "magic {0}s for {1} mentioned in the provided text are",
      kind, query);
}

/// One needle asked for: its value ranked among the others' and some that hide nowhere.
Question question_for_one(const NeedleDesign& design, const Needles& needles, size_t asked,
                          const Span& evidence) {
  Question question{.depth = design.depths[asked]};
  question.text = question_of(design, needles.keys[asked]);
  question.answers = {needles.values[asked]};
  question.evidence = {evidence};
  auto& distractors = question.distractors;
  for (size_t i = 0; i < needles.values.size(); ++i) {
    if (i != asked) distractors.push_back(needles.values[i]);
  }
  distractors.insert(distractors.end(), needles.strangers.begin(), needles.strangers.end());
  distractors.resize(design.distractors);
  return question;
}

/// All of them asked for at once: the score is the share that the answer has.
Question question_for_all(const NeedleDesign& design, const Needles& needles,
                          const std::vector<Span>& evidence) {
  Question question{.metric = "all", .references = needles.values};
  question.text = question_of(design, listed(needles.keys));
  question.answers = {listed(needles.values)};
  question.evidence = evidence;
  return question;
}

}  // namespace

DrawnItem draw_needles(const EvalSubject& subject, int64_t length, const NeedleDesign& design,
                       Draw& draw, const std::string& task, const std::string& subset) {
  std::set<std::string> taken;
  const Needles needles = draw_keys_and_values(design, draw, taken);
  std::vector<Hidden> hidden;
  for (size_t i = 0; i < design.depths.size(); ++i) {
    const auto& key = needles.keys.size() == 1 ? needles.keys[0] : needles.keys[i];
    hidden.push_back({needle_text(design, key, needles.values[i]), design.depths[i]});
  }

  std::vector<std::string> others;  // the needles that are hay, drawn as they are needed
  const Haystack of_needles{
      .unit =
          [&](int64_t index) {
            while (std::ssize(others) <= index) {
              const auto key = distinct(1, taken, [&] {
                if (design.uuid_keys) return draw.uuid();
                // A longer key where the pairs would run out.
                return index < word_pairs() / 2 ? draw.word_pair()
                                                : draw.word_pair() + "-" + draw.word_pair();
              });
              others.push_back(
                  needle_text(design, key[0], design.uuid_values ? draw.uuid() : draw.number(7)));
            }
            return others[index];
          },
      .joiner = "\n"};

  const auto build = [&](int64_t units) {
    const Stack stack = hide(design.haystack ? *design.haystack : of_needles, units, hidden);
    DrawnItem item{.passage = {instruction_of(design), stack.text}, .questions = {}};
    if (design.kind == Kind::kMultiKey) {
      for (int64_t i = 0; i < design.asked; ++i) {
        item.questions.push_back(question_for_one(design, needles, i, stack.spans[i]));
      }
    } else {
      item.questions.push_back(question_for_all(design, needles, stack.spans));
    }
    for (auto& question : item.questions) {
      question.subset = subset;
      question.max_new_tokens = design.max_new_tokens.value_or(new_tokens_of(subject, question));
    }
    return item;
  };
  return largest_item(subject, length, 1, task, build);
}

}  // namespace longspan
