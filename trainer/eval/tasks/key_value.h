#pragma once

#include "trainer/eval/tasks/item_task.h"

namespace longspan {

/// Key-value retrieval of Lost in the Middle (arXiv 2307.03172), in its words: a JSON object of
/// UUIDs, one value asked for. Several keys at evenly spaced depths are asked for after one
/// prefill.
class KeyValueTask : public ItemTask {
 public:
  KeyValueTask() : ItemTask({"kv", "Key-value retrieval", {"Values found", "depth of the pair"}}) {}
  void fields(FieldsIo& io) override;
  void draw_items(const EvalSubject& subject, const std::vector<int64_t>& lengths,
                  const Use& use) const override;

 protected:
  Json rules() const override;

 private:
  int64_t questions_ = 10;
  int64_t trials_ = 1;
  int64_t seed_ = 0;
};

}  // namespace longspan
