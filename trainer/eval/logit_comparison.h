#pragma once

#include <map>
#include <string>
#include <vector>

#include "src/model/causal_lm.h"

namespace longspan {

/// How far logits [N, V] are from reference logits [N, V].
struct LogitDifference {
  double max_abs = 0;           // largest |difference|
  double relative = 0;          // |difference| / |reference| in the Euclidean norm
  double argmax_agreement = 1;  // part of the N tokens with the same most likely next one
  double kl = 0;                // mean KL(reference || other) in nats a token
  double largest_kl = 0;
};

LogitDifference compare_logits(const at::Tensor& reference, const at::Tensor& other);

/// The logits [count, V] float32 of the last `count` of `ids` (all when there are fewer), which are
/// read in one pass without a cache.
at::Tensor last_logits(CausalLm& model, const std::vector<int64_t>& ids, int64_t count);

/// `count` ids that visit the vocabulary, the same ones every time: where there is no text.
std::vector<int64_t> made_ids(int64_t count, int64_t vocab_size);

/// How a file stores its tensors, by name: "F32", "BF16", or in GGUF's blocks, "Q8_0" (see
/// TensorInfo).
using TensorTypes = std::map<std::string, std::string>;

/// Whether round_weights() rounds to it: a dtype, or blocks that we write.
bool can_round_to(const std::string& type);

/// Adapts the model to what a file of these types can hold: LoRA merged into its projections, each
/// parameter named rounded to its type and back to its own dtype. Rows that do not divide into the
/// type's blocks stay.
void round_weights(CausalLm& model, const TensorTypes& types);

}  // namespace longspan
