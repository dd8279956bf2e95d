#pragma once

#include "src/attention/focused_memory.h"
#include "trainer/eval/arms/reading_arm.h"

namespace longspan {

/// The model reads in windows, with memory in some layers (src/attention/focused_memory.h). Its
/// keys are those of the attention. Without mem_layers a model that has a memory of its own reads
/// by that.
class FocusedMemoryArm : public ReadingArm {
 public:
  std::string_view name() const override { return "focused_memory"; }
  void fields(FieldsIo& io) override { attention_.fields(io); }
  void change(CausalLm& model, int64_t) const override {
    const auto& own = model.config().attention;
    if (attention_.options().mem_layers.empty() && own) return model.set_attention(own);
    model.set_attention(std::make_shared<ToReadBy>(attention_));
  }

 private:
  /// Not the model's own, which its config would keep when the arm is done.
  class ToReadBy : public FocusedMemoryAttention {
   public:
    explicit ToReadBy(const FocusedMemoryAttention& attention)
        : FocusedMemoryAttention(attention) {}
    bool belongs_to_model() const override { return false; }
  };

  FocusedMemoryAttention attention_;
};

}  // namespace longspan
