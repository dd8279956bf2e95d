#include "trainer/eval/tasks/qa_documents.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "src/core/fields.h"
#include "src/core/text.h"

namespace longspan {

namespace {

void require_questions(const QaDocuments& data, const std::filesystem::path& path,
                       Diagnostics& diagnostics) {
  diagnostics.throw_if_any(ExitCode::kData);
  if (data.questions.empty()) {
    fail(ExitCode::kData, "{}: has no question with an answer", path.string());
  }
}

/// The texts of [{"text": ..}], each once.
std::vector<std::string> squad_answers(Fields& question) {
  std::vector<std::string> texts;
  for (Fields& answer : question.children("answers")) {
    std::string text;
    answer.required("text", text);
    if (std::find(texts.begin(), texts.end(), text) == texts.end()) texts.push_back(text);
  }
  return texts;
}

/// A document's place among those of the item, and its text.
struct PlacedDocument {
  std::string text;
  bool is_gold = false;
};

/// `others` documents, from the start again where the file has fewer, with the gold ones among
/// them.
std::vector<PlacedDocument> placed_documents(const QaDocuments& data, const QaQuestion& question,
                                             const std::vector<size_t>& order, int64_t others,
                                             double depth, const std::vector<double>& more_depths) {
  std::vector<PlacedDocument> placed;
  for (int64_t i = 0; i < others; ++i) {
    placed.push_back({data.documents[order[i % std::ssize(order)]]});
  }
  for (size_t i = question.gold.size(); i-- > 0;) {
    const double its_depth = i == 0 ? depth : more_depths[i];
    const auto at = std::llround(its_depth * static_cast<double>(placed.size()));
    placed.insert(placed.begin() + at, {data.documents[question.gold[i]], true});
  }
  return placed;
}

/// "Document 1:\n.." with blank lines between them.
Passage qa_passage(const std::vector<PlacedDocument>& documents, std::vector<Span>& evidence) {
  Passage passage{
      .instruction =
          "Answer the question based on the given documents. Only give me the answer and do not "
          "output any other words.\n\nThe following are given documents.\n\n",
      .context = ""};
  for (size_t i = 0; i < documents.size(); ++i) {
    if (i > 0) passage.context += "\n\n";
    passage.context += fmt::format("Document {}:\n", i + 1);
    const size_t begin = passage.context.size();
    passage.context += documents[i].text;
    if (documents[i].is_gold) evidence.push_back({begin, passage.context.size()});
  }
  return passage;
}

}  // namespace

QaDocuments read_squad(const std::filesystem::path& path) {
  const Json json = read_json_file(path, ExitCode::kData);
  QaDocuments data;
  Diagnostics diagnostics(path.string());
  Fields fields(json, diagnostics);
  for (Fields& article : fields.children("data")) {
    for (Fields& paragraph : article.children("paragraphs")) {
      std::string context;
      paragraph.required("context", context);
      for (Fields& asked : paragraph.children("qas")) {
        QaQuestion question{
            .text = "", .answers = squad_answers(asked), .gold = {data.documents.size()}};
        asked.required("question", question.text);
        if (!question.answers.empty()) data.questions.push_back(std::move(question));
      }
      data.documents.push_back(std::move(context));
    }
  }
  require_questions(data, path, diagnostics);
  return data;
}

QaDocuments read_hotpotqa(const std::filesystem::path& path) {
  const Json json = Json{{"questions", read_json_file(path, ExitCode::kData)}};
  QaDocuments data;
  std::map<std::string, size_t> known;
  Diagnostics diagnostics(path.string());
  Fields fields(json, diagnostics);
  for (Fields& asked : fields.children("questions")) {
    QaQuestion& question = data.questions.emplace_back();
    std::vector<Json> paragraphs;
    asked.required("question", question.text);
    asked.required("answer", question.answers.emplace_back());
    asked.required("context", paragraphs);
    for (const Json& paragraph : paragraphs) {  // [title, [sentence, ..]]
      const bool is_sound = paragraph.is_array() && paragraph.size() == 2 &&
                            paragraph[0].is_string() && paragraph[1].is_array();
      if (!is_sound) {
        asked.error("context", "has a paragraph that is not [title, [sentence, ..]]");
        continue;
      }
      std::string text = paragraph[0].get<std::string>() + "\n";
      for (const Json& sentence : paragraph[1]) {
        if (sentence.is_string()) text += sentence.get<std::string>();
      }
      const auto [entry, is_new] = known.try_emplace(text, data.documents.size());
      if (is_new) data.documents.push_back(text);
      question.gold.push_back(entry->second);
    }
    if (question.gold.empty()) asked.error("context", "has no paragraph");
  }
  require_questions(data, path, diagnostics);
  return data;
}

DrawnItem draw_qa(const EvalSubject& subject, int64_t length, const QaDocuments& data,
                  int64_t index, double depth, Draw& draw, const std::string& subset) {
  const QaQuestion& asked = data.questions[index % std::ssize(data.questions)];
  std::vector<size_t> order;
  for (size_t i = 0; i < data.documents.size(); ++i) {
    const bool is_gold = std::find(asked.gold.begin(), asked.gold.end(), i) != asked.gold.end();
    if (!is_gold) order.push_back(i);
  }
  if (order.empty()) {
    fail(ExitCode::kData, "ruler: {} has no document but the one that is asked about; give more",
         subset);
  }
  draw.shuffle(order);
  std::vector<double> more_depths;
  for (size_t i = 0; i < asked.gold.size(); ++i) {
    more_depths.push_back(draw.depth());
  }
  return largest_item(subject, length, 0, "ruler: " + subset, [&](int64_t others) {
    Question question{.metric = "substring", .subset = subset};
    if (asked.gold.size() == 1) question.depth = depth;
    DrawnItem item;
    item.passage = qa_passage(placed_documents(data, asked, order, others, depth, more_depths),
                              question.evidence);
    question.text =
        "\n\nAnswer the question based on the given documents. Only give me the answer and do not "
        "output any other words.\n\nQuestion: " +
        asked.text + " Answer:";
    question.answers = asked.answers;
    item.questions.push_back(std::move(question));
    return item;
  });
}

}  // namespace longspan
