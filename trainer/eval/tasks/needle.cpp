#include "trainer/eval/tasks/needle.h"

#include "trainer/eval/tasks/evaluated_text.h"

namespace longspan {

void NeedleTask::fields(FieldsIo& io) {
  io.choice("mode", mode_, {"multi_key", "single", "multi_value", "multi_query"},
            "what hides in a haystack and is asked for; `single` is a needle in a haystack of its "
            "own");
  io.whole("needles", needles_, {1, 100}, "at evenly spaced depths");
  io.whole("trials", trials_, {1, 10000}, "haystacks a length; of `single` a length and depth");
  io.whole("seed", seed_, kSeeds, "of all that is drawn");
  io.texts("text", text_, "documents that are the hay", {.otherwise = "RULER's noise"});
}

std::vector<std::filesystem::path> NeedleTask::inputs() const { return text_files(text_); }

void NeedleTask::draw_items(const EvalSubject& subject, const std::vector<int64_t>& lengths,
                            const Use& use) const {
  const Haystack haystack = haystack_of(text_, "needle.text");
  const std::vector<double> depths = even_depths(needles_);
  for (const int64_t length : lengths) {
    for (int64_t trial = 0; trial < trials_; ++trial) {
      Draw draw("needle", {seed_, length, trial});
      NeedleDesign design{.haystack = haystack};
      if (mode_ == "single") {
        for (const double depth : depths) {
          design.depths = {depth};
          use(length, draw_needles(subject, length, design, draw, "needle"));
        }
        continue;
      }
      design.kind = mode_ == "multi_value"   ? NeedleDesign::Kind::kMultiValue
                    : mode_ == "multi_query" ? NeedleDesign::Kind::kMultiQuery
                                             : NeedleDesign::Kind::kMultiKey;
      design.depths = depths;
      design.asked = needles_;
      use(length, draw_needles(subject, length, design, draw, "needle"));
    }
  }
}

Json NeedleTask::rules() const {
  const std::string form =
      mode_ == "single"        ? "one needle a haystack (RULER's niah_single)"
      : mode_ == "multi_value" ? "one key with all values, asked for at once (niah_multivalue)"
      : mode_ == "multi_query" ? "all keys asked for at once (niah_multiquery)"
                               : "all needles in one haystack, a question for each (niah_multikey)";
  return {
      {"rule", "RULER's words; " + form +
                   "; the most hay with which prompt and answer have at most `length` tokens (BOS "
                   "included where there is one); no chat template"},
      {"haystack", text_.empty() ? "RULER's noise" : "sentences of `text`"},
      {"text", file_names(text_)},
      {"score", mode_ == "multi_value" || mode_ == "multi_query"
                    ? "the share of values that stand in the answer"
                    : "1 if the value stands in the answer"},
      {"ranked_first",
       "the right value has the least loss a token among ten: other needles', then some that "
       "hide nowhere"}};
}

}  // namespace longspan
