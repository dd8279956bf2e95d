#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "trainer/eval/tasks/item_task.h"
#include "trainer/eval/tasks/needle_items.h"

namespace longspan {

/// Needles in a haystack, in RULER's words. A haystack with keys at evenly spaced depths is read
/// once and asked for each of them: the column of a heat map for one prefill. The other needles
/// are distractors, so that it is harder than `single`, the published form.
class NeedleTask : public ItemTask {
 public:
  NeedleTask()
      : ItemTask({"needle", "Needles in a haystack", {"Needles found", "depth of the needle"}}) {}
  void fields(FieldsIo& io) override;
  std::vector<std::filesystem::path> inputs() const override;
  void draw_items(const EvalSubject& subject, const std::vector<int64_t>& lengths,
                  const Use& use) const override;

 protected:
  Json rules() const override;

 private:
  std::string mode_ = "multi_key";
  int64_t needles_ = 10;
  int64_t trials_ = 1;
  int64_t seed_ = 0;
  std::vector<std::string> text_;
};

}  // namespace longspan
