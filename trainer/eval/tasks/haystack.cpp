#include "trainer/eval/tasks/haystack.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "data/documents/document_files.h"
#include "data/documents/document_source.h"
#include "data/documents/sentences.h"
#include "src/core/error.h"

namespace longspan {

Haystack noise_haystack() {
  return {.unit =
              [](int64_t) {
                return std::string(
                    "The grass is green. The sky is blue. The sun is yellow. Here we go. There and "
                    "back again.");
              },
          .joiner = "\n"};
}

std::vector<std::string> sentences_of(const std::string& text) {
  std::vector<std::string> sentences;
  for (const auto& [begin, end] : sentence_spans(text, SentenceEnd::kLine)) {
    sentences.push_back(text.substr(begin, end - begin));
  }
  return sentences;
}

Haystack haystack_of(const std::vector<std::string>& files, const std::string& key_path) {
  if (files.empty()) return noise_haystack();
  std::vector<std::string> sentences;
  auto source = open_documents(find_document_files(files), {});
  while (auto document = source->next()) {
    auto more = sentences_of(document->text());
    sentences.insert(sentences.end(), more.begin(), more.end());
  }
  log_warnings(source->report());
  if (sentences.empty()) {
    fail(ExitCode::kData, "{}: there is no sentence in these files; give others", key_path);
  }
  return {.unit = [sentences = std::move(sentences)](
                      int64_t index) { return sentences[index % std::ssize(sentences)]; },
          .joiner = " "};
}

std::vector<std::string> file_names(const std::vector<std::string>& files) {
  std::vector<std::string> names;
  for (const auto& file : files) {
    names.push_back(std::filesystem::path(file).filename().string());
  }
  return names;
}

Stack hide(const Haystack& haystack, int64_t units, const std::vector<Hidden>& hidden) {
  std::vector<size_t> order(hidden.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return hidden[a].depth < hidden[b].depth; });
  Stack stack{.text = "", .spans = std::vector<Span>(hidden.size())};
  const auto append = [&](const std::string& text) {
    if (!stack.text.empty()) stack.text += haystack.joiner;
    stack.text += text;
  };
  size_t next = 0;
  for (int64_t i = 0; i <= units; ++i) {
    for (; next < order.size(); ++next) {
      const Hidden& one = hidden[order[next]];
      if (std::llround(one.depth * static_cast<double>(units)) > i) break;
      append(one.text);
      stack.spans[order[next]] = {stack.text.size() - one.text.size(), stack.text.size()};
    }
    if (i < units) append(haystack.unit(i));
  }
  return stack;
}

}  // namespace longspan
