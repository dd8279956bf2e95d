#include "data/documents/sentences.h"

namespace longspan {

std::vector<Span> sentence_spans(std::string_view text, SentenceEnd end) {
  const int most_line_ends = end == SentenceEnd::kLine ? 1 : 2;
  std::vector<Span> sentences;
  Span open;          // up to its last character that is no white space; empty: none is open
  int line_ends = 0;  // since then
  for (size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    if (std::string_view(" \t\r\n").find(c) == std::string_view::npos) {
      if (open.begin == open.end) open.begin = at;
      open.end = at + 1;
      line_ends = 0;
      continue;
    }
    if (open.begin == open.end) continue;
    line_ends += c == '\n' ? 1 : 0;
    const bool is_marked =
        std::string_view(".!?").find(text[open.end - 1]) != std::string_view::npos;
    if (is_marked || line_ends == most_line_ends) {
      sentences.push_back(open);
      open.begin = open.end;
    }
  }
  if (open.begin < open.end) sentences.push_back(open);
  return sentences;
}

}  // namespace longspan
