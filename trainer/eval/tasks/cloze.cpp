#include "trainer/eval/tasks/cloze.h"

#include <algorithm>
#include <cctype>
#include <set>

#include "data/documents/document_files.h"
#include "data/documents/document_source.h"
#include "src/core/text.h"
#include "trainer/eval/tasks/draw.h"
#include "trainer/eval/tasks/evaluated_text.h"
#include "trainer/eval/tasks/haystack.h"

namespace longspan {

namespace {

constexpr int64_t kFewestWords = 8;
constexpr size_t kFewestLetters = 4;

struct ClozeText {
  std::vector<std::string> sentences;
  std::vector<int64_t> tokens{};  // of each sentence
  std::set<std::string> words{};  // last ones, to be distractors
};

/// A sentence that can be asked for.
struct ClozePlace {
  size_t text = 0, sentence = 0;
};

std::vector<ClozeText> read_cloze_texts(const EvalSubject& subject,
                                        const std::vector<std::string>& files) {
  std::vector<ClozeText> texts;
  auto source = open_documents(find_document_files(files), {});
  while (auto document = source->next()) {
    ClozeText& text = texts.emplace_back(ClozeText{.sentences = sentences_of(document->text())});
    for (const auto& sentence : text.sentences) {
      text.tokens.push_back(std::ssize(subject.tokenizer.encode(sentence)) + 1);
      if (auto last = last_word(sentence)) text.words.insert(last->word);
    }
  }
  log_warnings(source->report());
  return texts;
}

/// Those with a full context before them, and enough other words in their text.
std::vector<ClozePlace> places_of(const std::vector<ClozeText>& texts, int64_t context,
                                  int64_t choices) {
  std::vector<ClozePlace> places;
  for (size_t t = 0; t < texts.size(); ++t) {
    int64_t before = 0;
    for (size_t s = 0; s < texts[t].sentences.size(); ++s) {
      const bool is_far = before >= context && std::ssize(texts[t].words) >= choices;
      if (is_far && last_word(texts[t].sentences[s])) places.push_back({t, s});
      before += texts[t].tokens[s];
    }
  }
  return places;
}

DrawnItem cloze_item(const ClozeText& text, size_t sentence, int64_t context, int64_t choices,
                     Draw& draw) {
  const LastWord last = *last_word(text.sentences[sentence]);
  size_t first = sentence;
  // Eight tokens are left for what the two texts merge and for the answer.
  for (int64_t left = context - 8 - text.tokens[sentence];
       first > 0 && left >= text.tokens[first - 1]; --first) {
    left -= text.tokens[first - 1];
  }
  DrawnItem item;
  item.passage.context = join({text.sentences.begin() + static_cast<int64_t>(first),
                               text.sentences.begin() + static_cast<int64_t>(sentence)},
                              " ");
  Question& question = item.questions.emplace_back(Question{.metric = "choice"});
  question.text = (item.passage.context.empty() ? "" : " ") + last.before;
  question.answers = {last.word};
  std::vector<std::string> others(text.words.begin(), text.words.end());
  draw.shuffle(others);
  for (const auto& word : others) {
    if (std::ssize(question.distractors) + 1 == choices) break;
    if (word != last.word) question.distractors.push_back(word);
  }
  question.max_new_tokens = 1;
  return item;
}

}  // namespace

std::optional<LastWord> last_word(const std::string& sentence) {
  const auto is_letter = [](char c) { return std::isalpha(static_cast<unsigned char>(c)) != 0; };
  size_t end = sentence.size();
  if (end == 0 || std::string_view(".!?").find(sentence[end - 1]) == std::string_view::npos) {
    return std::nullopt;
  }
  --end;
  size_t begin = end;
  while (begin > 0 && is_letter(sentence[begin - 1])) --begin;
  if (end - begin < kFewestLetters || begin == 0 || sentence[begin - 1] != ' ') return std::nullopt;
  const std::string before = sentence.substr(0, begin - 1);
  if (std::count(before.begin(), before.end(), ' ') + 2 < kFewestWords) return std::nullopt;
  return LastWord{before, sentence.substr(begin, end - begin)};
}

void ClozeTask::fields(FieldsIo& io) {
  io.texts("text", text_, "documents");
  io.whole("questions", questions_, {1, 10000}, "drawn from all of them");
  io.whole("choices", choices_, {2, 100}, "words to choose from");
  io.whole("context", context_, {64, int64_t{1} << 20},
           "tokens before the question's end, whatever --lengths says");
  io.whole("seed", seed_, kSeeds, "of all that is drawn");
}

std::vector<std::filesystem::path> ClozeTask::inputs() const { return text_files(text_); }

void ClozeTask::check(const EvalOptions&) const {
  if (text_.empty()) {
    fail(ExitCode::kUsage, "cloze: no text given; name documents with --text FILE...");
  }
}

void ClozeTask::draw_items(const EvalSubject& subject, const std::vector<int64_t>&,
                           const Use& use) const {
  const std::vector<ClozeText> texts = read_cloze_texts(subject, text_);
  std::vector<ClozePlace> places = places_of(texts, context_, choices_);
  if (places.empty()) {
    fail(
        ExitCode::kData,
        "cloze: no sentence of {} words or more has {} tokens before it and {} other last words in "
        "its text; give longer texts or a smaller cloze.context",
        kFewestWords, context_, choices_ - 1);
  }
  Draw draw("cloze", {seed_});
  draw.shuffle(places);
  if (std::ssize(places) > questions_) places.resize(questions_);
  for (const auto& [text, sentence] : places) {
    use(context_, cloze_item(texts[text], sentence, context_, choices_, draw));
  }
}

Json ClozeTask::rules() const {
  return {{"rule",
           "the last word of a sentence among last words of other sentences of the same text, with "
           "up to `context` tokens before it; the word of least loss a token is the choice"},
          {"text", file_names(text_)}};
}

}  // namespace longspan
