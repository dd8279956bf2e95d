#include "trainer/eval/arms/model_change.h"

namespace longspan {

ModelChange::ModelChange(CausalLm& model)
    : model_(model),
      attention_(model.shared_attention()),
      rope_scaling_(model.config().rope_scaling),
      max_position_embeddings_(model.config().max_position_embeddings),
      original_(model.config().original_max_position_embeddings) {}

ModelChange::~ModelChange() {
  model_.set_attention(std::move(attention_));
  model_.set_rope_scaling(std::move(rope_scaling_), max_position_embeddings_, original_);
}

}  // namespace longspan
