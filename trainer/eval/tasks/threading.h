#pragma once

#include "trainer/eval/tasks/item_task.h"

namespace longspan {

/// Needle threading (Roberts et al., arXiv 2411.05000): in a JSON object of UUIDs some values are
/// keys again; the value at the end of such a thread is asked for. Several threads are asked for
/// after one prefill.
class ThreadingTask : public ItemTask {
 public:
  ThreadingTask() : ItemTask({"threading", "Needle threading", {"Threads followed", ""}}) {}
  void fields(FieldsIo& io) override;
  void draw_items(const EvalSubject& subject, const std::vector<int64_t>& lengths,
                  const Use& use) const override;

 protected:
  Json rules() const override;

 private:
  DrawnItem draw_threads(const EvalSubject& subject, int64_t length, int64_t trial) const;

  int64_t hops_ = 2;
  int64_t threads_ = 5;
  int64_t trials_ = 1;
  int64_t seed_ = 0;
};

}  // namespace longspan
