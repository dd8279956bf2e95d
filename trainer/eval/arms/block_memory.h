#pragma once

#include "trainer/eval/arms/block_memory_attention.h"
#include "trainer/eval/arms/reading_arm.h"

namespace longspan {

/// The model reads by InfLLM's block memory, untrained. Within the model's own length far tokens
/// stand where they are in the text, beyond it where InfLLM has them.
class BlockMemoryArm : public ReadingArm {
 public:
  std::string_view name() const override { return "block_memory"; }
  void fields(FieldsIo& io) override { pattern_.fields(io); }
  void change(CausalLm& model, int64_t length) const override;

 private:
  BlockMemoryAttention pattern_;
};

}  // namespace longspan
