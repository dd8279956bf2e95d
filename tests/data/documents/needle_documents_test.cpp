#include "data/documents/needle_documents.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cctype>
#include <functional>
#include <iterator>

#include "data/documents/sentences.h"
#include "src/core/random.h"
#include "tests/support/errors.h"
#include "tests/support/places.h"

namespace longspan {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

std::unique_ptr<Tokenizer> reference_tokenizer(const std::string& kind) {
  const auto file = source_folder() / "tests/data/reference" / kind / "tokenizer.json";
  return make_tokenizer(read_json_file(file, ExitCode::kModel), kind);
}

/// Prose in lines of ten words, with paragraphs and dialogue.
std::string needle_prose(int sentences) {
  constexpr std::string_view kWords[] = {"the",  "a",     "of",     "candle", "window",  "garden",
                                         "with", "quiet", "naïve",  "river",  "morning", "nobody",
                                         "had",  "seen",  "before", "under",  "and",     "slowly"};
  auto generator = generator_of(11, 0);
  std::string text;
  int words = 0;
  for (int i = 0; i < sentences; ++i) {
    const bool is_spoken = draw_below(6, generator) == 0;
    const uint64_t count = 3 + draw_below(12, generator);
    text += is_spoken ? "\"It" : "It";
    for (uint64_t w = 0; w < count; ++w) {
      text += ++words % 10 == 0 ? "\n" : " ";
      text += kWords[draw_below(std::size(kWords), generator)];
    }
    text += "!?."[draw_below(3, generator)];
    text += draw_below(9, generator) == 0 ? "\n\n" : " ";
  }
  return text;
}

/// For pieces of few tokens.
NeedleOptions short_options() { return {.length = 2048, .facts = 4, .quotes = 3}; }

std::vector<NeedlePiece> pieces_of(const std::string& text, const Tokenizer& tokenizer,
                                   const NeedleOptions& options, NeedleReport* report = nullptr) {
  NeedleDocuments documents(tokenizer, options);
  std::vector<NeedlePiece> pieces;
  documents.cut(text, [&](const NeedlePiece& piece) { pieces.push_back(piece); });
  if (report != nullptr) *report = documents.report();
  return pieces;
}

std::string text_at(const NeedlePiece& piece, const Span& span) {
  return piece.text.substr(span.begin, span.end - span.begin);
}

std::string with_single_spaces(std::string text) {
  std::ranges::replace(text, '\n', ' ');
  return text;
}

class NeedlesInTokens : public testing::TestWithParam<std::string> {
 protected:
  NeedlesInTokens() : tokenizer(reference_tokenizer(GetParam())) {}
  int64_t tokens_to(const NeedlePiece& piece, size_t end) const {
    return std::ssize(tokenizer->encode(piece.text.substr(0, end)));
  }
  std::unique_ptr<Tokenizer> tokenizer;
};

TEST_P(NeedlesInTokens, AllStandWithinTheLengthAndATenthOfItApart) {
  const auto pieces = pieces_of(needle_prose(900), *tokenizer, short_options());
  ASSERT_GE(pieces.size(), 3u);
  for (const auto& piece : pieces) {
    ASSERT_EQ(piece.facts.size(), 4u);
    ASSERT_EQ(piece.quotes.size(), 3u);
    for (const auto* needles : {&piece.facts, &piece.quotes}) {
      for (const Needle& needle : *needles) {
        EXPECT_LE(tokens_to(piece, needle.repeated.end), 2048);
        EXPECT_GE(tokens_to(piece, needle.repeated.begin) - tokens_to(piece, needle.stated.end),
                  205)
            << text_at(piece, needle.stated) << " / " << text_at(piece, needle.repeated);
      }
    }
  }
}

TEST_P(NeedlesInTokens, MakeAPieceOfNoMoreSentencesThanItNeeds) {
  for (const auto& piece : pieces_of(needle_prose(900), *tokenizer, short_options())) {
    EXPECT_EQ(piece.tokens, tokens_to(piece, piece.text.size()));
    EXPECT_GT(piece.tokens, 2048);
    const auto sentences = sentence_spans(piece.text, SentenceEnd::kBlankLine);
    EXPECT_LE(tokens_to(piece, sentences[sentences.size() - 2].end), 2048);
  }
}

INSTANTIATE_TEST_SUITE_P(Tokenizers, NeedlesInTokens,
                         testing::Values("smollm", "llama3", "llama2", "unigram"),
                         [](const auto& info) { return info.param; });

TEST(NeedleDocuments, AnswerWithTheValueThatWasStated) {
  const auto tokenizer = reference_tokenizer("smollm");
  for (const auto& piece : pieces_of(needle_prose(900), *tokenizer, short_options())) {
    for (const Needle& fact : piece.facts) {
      EXPECT_THAT(text_at(piece, fact.stated), HasSubstr(fact.value));
      EXPECT_THAT(text_at(piece, fact.repeated), testing::EndsWith(" " + fact.value + "."));
    }
    for (const Needle& quote : piece.quotes) {
      EXPECT_EQ(with_single_spaces(text_at(piece, quote.stated)), quote.value);
      EXPECT_THAT(text_at(piece, quote.repeated), HasSubstr("\"" + quote.value + "\""));
    }
  }
}

/// The piece without what was put in, and the blank before it.
std::string without_needles(const NeedlePiece& piece) {
  std::vector<Span> put_in;
  for (const Needle& fact : piece.facts) {
    put_in.push_back(fact.stated);
    put_in.push_back(fact.repeated);
  }
  for (const Needle& quote : piece.quotes) put_in.push_back(quote.repeated);
  std::ranges::sort(put_in, std::greater<>(), &Span::begin);
  std::string text = piece.text;
  for (const auto& [begin, end] : put_in) text.erase(begin - 1, end - begin + 1);
  return text;
}

TEST(NeedleDocuments, ChangeNothingElseOfTheText) {
  const auto tokenizer = reference_tokenizer("smollm");
  const std::string text = needle_prose(900);
  NeedleReport report;
  const auto pieces = pieces_of(text, *tokenizer, short_options(), &report);
  ASSERT_EQ(report.pieces, std::ssize(pieces));
  std::string left = text;
  for (const auto& piece : pieces) {
    left.erase(0, left.find_first_not_of(" \n"));
    const std::string own = without_needles(piece);
    ASSERT_THAT(left, StartsWith(own));
    left.erase(0, own.size());
  }
  EXPECT_EQ(report.rests, 1);
  EXPECT_NEAR(static_cast<double>(report.rest_tokens),
              static_cast<double>(tokenizer->encode(left).size()), 2);
  EXPECT_LT(report.rest_tokens, 2048);
}

TEST(NeedleDocuments, AreAFunctionOfTheSeed) {
  const auto tokenizer = reference_tokenizer("smollm");
  const std::string text = needle_prose(600);
  const auto texts = [&](uint64_t seed) {
    NeedleOptions options = short_options();
    options.seed = seed;
    std::string all;
    for (const auto& piece : pieces_of(text, *tokenizer, options)) all += piece.text;
    return all;
  };
  EXPECT_EQ(texts(1), texts(1));
  EXPECT_NE(texts(1), texts(2));
}

TEST(NeedleDocuments, LeaveOutWhatIsTooShortOrHasNoSentences) {
  const auto tokenizer = reference_tokenizer("smollm");
  NeedleReport report;
  EXPECT_TRUE(pieces_of(needle_prose(20), *tokenizer, short_options(), &report).empty());
  EXPECT_EQ(report.rests, 1);
  EXPECT_EQ(report.longest_rest_tokens, report.rest_tokens);
  EXPECT_GT(report.rest_tokens, 0);

  std::string endless = needle_prose(900);
  for (char& c : endless) {
    if (std::ispunct(static_cast<unsigned char>(c)) != 0 || c == '\n') c = ' ';
  }
  EXPECT_TRUE(pieces_of(endless, *tokenizer, short_options(), &report).empty());
  EXPECT_EQ(report.without_places, 1);
  EXPECT_EQ(report.rests, 0);
}

TEST(NeedleDocuments, RefuseWhatDoesNotFit) {
  const auto tokenizer = reference_tokenizer("smollm");
  const auto refusal = [&](const NeedleOptions& options) {
    return error_of([&] { NeedleDocuments(*tokenizer, options); }, ExitCode::kUsage);
  };
  EXPECT_THAT(refusal({.length = 512}), StartsWith("--length 512: 16 facts and 5 quotes take"));
  EXPECT_THAT(refusal({.facts = -1}), StartsWith("--facts: -1 is out of range"));
  EXPECT_THAT(refusal({.quotes = 100'001}), StartsWith("--quotes: 100001 is out of range"));
  EXPECT_THAT(refusal({.facts = 0, .quotes = 0}), HasSubstr("nothing would be put in"));
  EXPECT_EQ(refusal({.length = 1 << 20}), "no error");
}

}  // namespace
}  // namespace longspan
