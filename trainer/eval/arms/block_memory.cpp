#include "trainer/eval/arms/block_memory.h"

#include "src/model/context_length.h"

namespace longspan {

void BlockMemoryArm::change(CausalLm& model, int64_t length) const {
  auto pattern = std::make_shared<BlockMemoryAttention>(pattern_);
  pattern->set_one_far_position(length > context_length(model.config()).usable);
  model.set_attention(std::move(pattern));
}

}  // namespace longspan
