#pragma once

#include <string>
#include <vector>

#include "trainer/eval/tasks/item_task.h"

namespace longspan {

/// What an extension costs at short context: the last word of a sentence among the last words of
/// other sentences of the same text, as LAMBADA asks for a last word, by the least loss. The set is
/// made from the user's documents.
class ClozeTask : public ItemTask {
 public:
  ClozeTask() : ItemTask({"cloze", "Last words at short context", {"Last words chosen", ""}}) {}
  void fields(FieldsIo& io) override;
  std::vector<std::filesystem::path> inputs() const override;
  bool names_evidence() const override { return false; }
  void check(const EvalOptions& options) const override;
  void draw_items(const EvalSubject& subject, const std::vector<int64_t>& lengths,
                  const Use& use) const override;

 protected:
  Json rules() const override;

 private:
  std::vector<std::string> text_;
  int64_t questions_ = 40;
  int64_t choices_ = 4;
  int64_t context_ = 512;
  int64_t seed_ = 0;
};

/// A sentence that ends with a word of at least four letters and a mark: "so it goes there" and
/// "there". None for others, and for those with fewer than eight words.
struct LastWord {
  std::string before, word;
};
std::optional<LastWord> last_word(const std::string& sentence);

}  // namespace longspan
