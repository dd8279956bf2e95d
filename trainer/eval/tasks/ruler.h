#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "trainer/eval/tasks/item_task.h"

namespace longspan {

/// RULER (arXiv 2404.06654) in its words and with its scorers; its two tasks of questions and
/// answers from data sets that the user gives. Where it draws the depth of what is asked for, the
/// samples here stand at even depths, so that lengths differ in nothing else.
class RulerTask : public ItemTask {
 public:
  RulerTask() : ItemTask({"ruler", "RULER", {"Score", "depth of the needle"}}) {}
  void fields(FieldsIo& io) override;
  std::vector<std::filesystem::path> inputs() const override;
  void check(const EvalOptions& options) const override;
  void draw_items(const EvalSubject& subject, const std::vector<int64_t>& lengths,
                  const Use& use) const override;

 protected:
  Json rules() const override;

 private:
  void check_names(FieldsIo& io) const;

  std::vector<std::string> tasks_{"niah_single_1", "niah_multikey_1", "vt", "cwe", "fwe"};
  int64_t samples_ = 5;
  int64_t seed_ = 0;
  std::vector<std::string> text_;
  std::string squad_, hotpotqa_;
};

/// niah_single_1 .. 3, niah_multikey_1 .. 3, niah_multivalue, niah_multiquery, vt, cwe, fwe, qa_1,
/// qa_2.
std::vector<std::string> ruler_tasks();

}  // namespace longspan
