#include <fmt/format.h>

#include <algorithm>

#include "src/core/text.h"
#include "trainer/eval/tasks/haystack.h"
#include "trainer/eval/tasks/ruler_items.h"

namespace longspan {

namespace {

constexpr int64_t kHops = 4;
constexpr std::string_view kTracking =
    "Memorize and track the chain(s) of variable assignment hidden in the following text.\n\n";

struct Chain {
  std::string value;
  std::vector<std::string> variables;
  std::vector<Hidden> lines;
};

Chain draw_chain(Draw& draw, int letters) {
  std::set<std::string> taken;
  Chain chain{.value = draw.number(5),
              .variables = distinct(kHops + 1, taken, [&] { return draw.letters(letters, 'A'); }),
              .lines = {}};
  std::vector<double> depths;
  for (int64_t i = 0; i <= kHops; ++i) {
    depths.push_back(draw.depth());
  }
  std::sort(depths.begin(), depths.end());
  for (int64_t i = 0; i <= kHops; ++i) {
    const auto from = i == 0 ? chain.value : "VAR " + chain.variables[i - 1];
    chain.lines.push_back({fmt::format("VAR {} = {}", chain.variables[i], from), depths[i]});
  }
  return chain;
}

std::string tracking_question(const Chain& chain) {
  return fmt::format(
      "\nQuestion: Find all variables that are assigned the value {0} in the text above. Answer: "
      "According to the chain(s) of variable assignment in the text above, {1} variables are "
      "assigned the value {0}, they are:",
      chain.value, kHops + 1);
}

}  // namespace

DrawnItem draw_variable_tracking(const EvalSubject& subject, int64_t length, Draw& draw) {
  constexpr int64_t kExampleUnits = 5;
  const Chain example = draw_chain(draw, 3), chain = draw_chain(draw, 5);
  const std::string shown =
      std::string(kTracking) + hide(noise_haystack(), kExampleUnits, example.lines).text +
      tracking_question(example) + " " + join(example.variables, " ") + "\n\n";
  return largest_item(subject, length, 1, "ruler: vt", [&](int64_t units) {
    const Stack stack = hide(noise_haystack(), units, chain.lines);
    Question question{.metric = "all", .references = chain.variables, .subset = "vt"};
    question.text = tracking_question(chain);
    question.answers = {join(chain.variables, " ")};
    question.evidence = stack.spans;
    question.max_new_tokens = 30;
    return DrawnItem{.passage = {shown + std::string(kTracking), stack.text},
                     .questions = {question}};
  });
}

}  // namespace longspan
