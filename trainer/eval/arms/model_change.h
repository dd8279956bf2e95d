#pragma once

#include <memory>

#include "src/model/causal_lm.h"

namespace longspan {

/// Gives a model another attention or RoPE while an arm reads, and puts back what was there.
class ModelChange {
 public:
  explicit ModelChange(CausalLm& model);
  ~ModelChange();
  ModelChange(const ModelChange&) = delete;
  ModelChange& operator=(const ModelChange&) = delete;

 private:
  CausalLm& model_;
  std::shared_ptr<const AttentionPattern> attention_;
  std::shared_ptr<const RopeScaling> rope_scaling_;
  int64_t max_position_embeddings_;
  std::optional<int64_t> original_;
};

}  // namespace longspan
