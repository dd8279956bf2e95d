#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace longspan {

/// Scores an answer against references, of which there is at least one: 0 to 1.
using Scorer = double (*)(const std::string& answer, const std::vector<std::string>& references);

/// exact: the normalised answer is a reference. prefix: it begins with one, as a model that goes on
/// behind its answer has it. substring: a reference stands in it (RULER's string_match_part, Lost
/// in the Middle's best_subspan_em). all: the share of references that stand in it (RULER's
/// string_match_all). number: the first number is a reference, with decimals where that has some
/// (InfiniteBench, YaRN). number_prefix: that number begins with a reference, as a key of so many
/// digits is looked for. last_word: it is a reference (InfiniteBench's code_run). leading: the
/// share of the references that are its numbers from the first on (InfiniteBench's math_calc). f1:
/// of words (SQuAD, LongBench's qa_f1). rouge_l, rouge_lsum: those of LongBench and InfiniteBench
/// (rouge.h). edit_similarity: 1 - insertions and deletions / characters of both, of the first line
/// of code (LongBench's code_sim). count: the share of its numbers that are a reference
/// (LongBench's count_score). class: 1 / the classes named in it where the right one is among them;
/// label: 1 where the first sentence names the right label, or all labels_of() it, and no other
/// (BABILong). Of these two references the first is right and the rest are the other classes. With
/// more references than one the best of them counts, but for all, leading, class and label.
std::vector<std::string> scorers();
/// nullptr when there is none of that name.
Scorer find_scorer(std::string_view name);

/// Whether `part` stands in `text`, in letters of either case.
bool substring_of(std::string_view part, std::string_view text);

/// "apple,milk" in two; what has three characters or fewer is one (BABILong's compare_answers).
std::vector<std::string> labels_of(const std::string& target);

enum class Articles { kDropped, kKept };
/// Lower case, without ASCII punctuation and the articles a, an, the, words one space apart
/// (SQuAD's normalize_answer).
std::string normalized(std::string_view text, Articles articles = Articles::kDropped);

}  // namespace longspan
