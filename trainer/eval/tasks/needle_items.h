#pragma once

#include <optional>
#include <string>
#include <vector>

#include "trainer/eval/tasks/draw.h"
#include "trainer/eval/tasks/haystack.h"
#include "trainer/eval/tasks/item.h"

namespace longspan {

/// What hides where, in RULER's terms and words (arXiv 2404.06654).
struct NeedleDesign {
  /// multi_key: a key and a value for each depth. multi_value: one key, a value for each depth,
  /// all asked for at once. multi_query: as multi_key, all asked for at once.
  enum class Kind { kMultiKey, kMultiValue, kMultiQuery };

  Kind kind = Kind::kMultiKey;
  std::vector<double> depths{0.5};  // of the needles; one alone is RULER's niah_single
  int64_t asked = 1;         // multi_key: the first so many are asked for, each by a question
  bool uuid_keys = false;    // instead of "quiet-harbor"
  bool uuid_values = false;  // instead of seven digits
  std::optional<Haystack> haystack{};  // none: needles of other keys
  int64_t distractors =
      9;  // to rank a value among: other needles' first, then some that hide nowhere
  std::optional<int64_t> max_new_tokens{};  // none: new_tokens_of()
};

/// The item with the most hay that has at most `length` tokens. `task` and `subset` name it.
DrawnItem draw_needles(const EvalSubject& subject, int64_t length, const NeedleDesign& design,
                       Draw& draw, const std::string& task, const std::string& subset = "");

}  // namespace longspan
