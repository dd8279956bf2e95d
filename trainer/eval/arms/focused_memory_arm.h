#pragma once

#include "src/attention/focused_memory.h"
#include "trainer/eval/arms/reading_arm.h"

namespace longspan {

/// The model reads in windows, with memory in some layers (src/attention/focused_memory.h). Its
/// keys are those of the attention; of a model that has a memory of its own, those not given are
/// the model's.
class FocusedMemoryArm : public ReadingArm {
 public:
  std::string_view name() const override { return "focused_memory"; }
  void fields(FieldsIo& io) override;
  void check(const EvalSubject& subject) const override;
  void change(CausalLm& model, int64_t length) const override;
  Json settings(const ModelConfig& config) const override { return attention_of(config).write(); }

 private:
  FocusedMemoryAttention attention_of(const ModelConfig& config) const;

  FocusedMemoryAttention attention_;
  Json given_ = Json::object();  // the keys that were read
};

}  // namespace longspan
