#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "trainer/eval/tasks/item_task.h"

namespace longspan {

/// The user's own questions about own texts, and the benchmarks that come as files.
class JsonlTask : public ItemTask {
 public:
  /// Lengths have other questions, or contexts of which less is left.
  JsonlTask()
      : ItemTask({"jsonl",
                  "Questions of a file",
                  {.scores = "Score", .depth = "", .lengths_compare = false}}) {}
  void fields(FieldsIo& io) override;
  std::vector<std::filesystem::path> inputs() const override;
  void check(const EvalOptions& options) const override;
  void draw_items(const EvalSubject& subject, const std::vector<int64_t>& lengths,
                  const Use& use) const override;
  bool judges_whole_answers() const override { return true; }

 protected:
  Json rules() const override;

 private:
  std::vector<DrawnItem> read_items() const;

  std::vector<std::string> items_;
  std::string format_ = "plain";
  int64_t limit_ = 0;
  std::string too_long_ = "skip";
};

/// The item with so much cut out of the middle of its context that it has at most `length` tokens;
/// as it is where it has no more. A question that leaves no room for any context is
/// Error(kUsage).
DrawnItem cut_middle(const EvalSubject& subject, const DrawnItem& item, int64_t length);

}  // namespace longspan
