#include "trainer/eval/tasks/ruler.h"

#include <algorithm>
#include <functional>
#include <tuple>

#include "src/core/text.h"
#include "trainer/eval/tasks/evaluated_text.h"
#include "trainer/eval/tasks/needle_items.h"
#include "trainer/eval/tasks/qa_documents.h"
#include "trainer/eval/tasks/ruler_items.h"

namespace longspan {

namespace {

constexpr int64_t kRulerNewTokens = 128;

using Kind = NeedleDesign::Kind;

struct Sample {
  std::string task;
  const EvalSubject& subject;
  int64_t length;
  int64_t index;
  double depth;  // of what is asked for
  Draw& draw;
  const Haystack& essays;
  const QaDocuments& squad;
  const QaDocuments& hotpotqa;
};

/// `needles`, the first of them at the depth of the sample, the others at some of RULER's 40. The
/// first is asked for unless `kind` asks for all.
NeedleDesign niah(const Sample& sample, int64_t needles, std::optional<Haystack> haystack,
                  Kind kind = Kind::kMultiKey) {
  NeedleDesign design{
      .kind = kind, .haystack = std::move(haystack), .max_new_tokens = kRulerNewTokens};
  design.depths = {sample.depth};
  for (int64_t i = 1; i < needles; ++i) {
    design.depths.push_back(static_cast<double>(sample.draw.below(40)) / 39);
  }
  return design;
}

DrawnItem niah_item(const Sample& sample, const NeedleDesign& design) {
  return draw_needles(sample.subject, sample.length, design, sample.draw, "ruler: " + sample.task,
                      sample.task);
}

DrawnItem uuid_item(const Sample& sample, NeedleDesign design, bool uuid_keys) {
  design.uuid_values = true;
  design.uuid_keys = uuid_keys;
  return niah_item(sample, design);
}

DrawnItem qa_item(const Sample& sample, const QaDocuments& data) {
  return draw_qa(sample.subject, sample.length, data, sample.index, sample.depth, sample.draw,
                 sample.task);
}

struct RulerEntry {
  std::string_view name;
  DrawnItem (*draw)(const Sample& sample);
};

constexpr RulerEntry kRuler[] = {
    {"niah_single_1", [](const Sample& s) { return niah_item(s, niah(s, 1, noise_haystack())); }},
    {"niah_single_2", [](const Sample& s) { return niah_item(s, niah(s, 1, s.essays)); }},
    {"niah_single_3", [](const Sample& s) { return uuid_item(s, niah(s, 1, s.essays), false); }},
    {"niah_multikey_1", [](const Sample& s) { return niah_item(s, niah(s, 4, s.essays)); }},
    {"niah_multikey_2", [](const Sample& s) { return niah_item(s, niah(s, 1, std::nullopt)); }},
    {"niah_multikey_3",
     [](const Sample& s) { return uuid_item(s, niah(s, 1, std::nullopt), true); }},
    {"niah_multivalue",
     [](const Sample& s) { return niah_item(s, niah(s, 4, s.essays, Kind::kMultiValue)); }},
    {"niah_multiquery",
     [](const Sample& s) { return niah_item(s, niah(s, 4, s.essays, Kind::kMultiQuery)); }},
    {"vt", [](const Sample& s) { return draw_variable_tracking(s.subject, s.length, s.draw); }},
    {"cwe", [](const Sample& s) { return draw_common_words(s.subject, s.length, s.draw); }},
    {"fwe", [](const Sample& s) { return draw_frequent_words(s.subject, s.length, s.draw); }},
    {"qa_1", [](const Sample& s) { return qa_item(s, s.squad); }},
    {"qa_2", [](const Sample& s) { return qa_item(s, s.hotpotqa); }},
};

}  // namespace

std::vector<std::string> ruler_tasks() {
  std::vector<std::string> names;
  for (const auto& entry : kRuler) names.emplace_back(entry.name);
  return names;
}

void RulerTask::check_names(FieldsIo& io) const {
  const std::vector<std::string> known = ruler_tasks();
  for (const auto& task : tasks_) {
    if (std::ranges::find(known, task) != known.end()) continue;
    io.error("tasks",
             fmt::format("'{}' is not known; expected some of {}", task, join(known, ", ")));
  }
  if (tasks_.empty()) io.error("tasks", "is empty, expected some of " + join(known, ", "));
}

void RulerTask::fields(FieldsIo& io) {
  io.texts("tasks", tasks_, "of RULER's");
  check_names(io);
  io.whole("samples", samples_, {1, 10000}, "of each task and length");
  io.whole("seed", seed_, kSeeds, "of all that is drawn");
  io.texts("text", text_, "documents that are the hay where RULER has essays",
           {.otherwise = "RULER's noise"});
  io.text("squad", squad_, "the file of qa_1");
  io.text("hotpotqa", hotpotqa_, "the file of qa_2");
}

std::vector<std::filesystem::path> RulerTask::inputs() const {
  std::vector<std::filesystem::path> files = text_files(text_);
  for (const auto& file : {squad_, hotpotqa_}) {
    if (!file.empty()) files.emplace_back(file);
  }
  return files;
}

void RulerTask::check(const EvalOptions&) const {
  for (const auto& [task, key, file] :
       {std::tuple{"qa_1", "squad", squad_}, std::tuple{"qa_2", "hotpotqa", hotpotqa_}}) {
    if (file.empty() && std::find(tasks_.begin(), tasks_.end(), task) != tasks_.end()) {
      fail(ExitCode::kUsage, "ruler: {0} has no data; name its file with --set ruler.{1}=FILE",
           task, key);
    }
  }
}

void RulerTask::draw_items(const EvalSubject& subject, const std::vector<int64_t>& lengths,
                           const Use& use) const {
  const Haystack essays = haystack_of(text_, "ruler.text");
  const QaDocuments squad = squad_.empty() ? QaDocuments{} : read_squad(squad_);
  const QaDocuments hotpotqa = hotpotqa_.empty() ? QaDocuments{} : read_hotpotqa(hotpotqa_);
  const std::vector<double> depths = even_depths(samples_);
  for (const int64_t length : lengths) {
    for (const auto& entry : kRuler) {
      if (std::find(tasks_.begin(), tasks_.end(), entry.name) == tasks_.end()) continue;
      for (int64_t sample = 0; sample < samples_; ++sample) {
        Draw draw(entry.name, {seed_, length, sample});
        use(length, entry.draw({std::string(entry.name), subject, length, sample, depths[sample],
                                draw, essays, squad, hotpotqa}));
      }
    }
  }
}

Json RulerTask::rules() const {
  return {{"rule",
           "RULER's prompts with the answer's beginning, its counts and its numbers of generated "
           "tokens, which the length includes as it includes a BOS; keys and words are pairs of "
           "words of our own; what is asked for stands at even depths over the samples, and every "
           "sample draws its order anew; no chat template"},
          {"essays", text_.empty() ? "RULER's noise" : "sentences of `text`"},
          {"text", file_names(text_)},
          {"squad", file_names({squad_})},
          {"hotpotqa", file_names({hotpotqa_})},
          {"score",
           "the share of references that stand in the answer (string_match_all); of qa one of them "
           "is enough (string_match_part)"}};
}

}  // namespace longspan
