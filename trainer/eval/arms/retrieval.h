#pragma once

#include <ATen/core/Tensor.h>

#include "trainer/eval/arms/reducing_arm.h"

namespace longspan {

/// Retrieval-augmented reading (Xu et al. 2023, arXiv 2310.03025): the context in chunks, of which
/// the model reads those that suit the question, in the order of the text. How well a chunk suits
/// says BM25 or the model's own embedding. Of a plain text half of the budget is the tokens right
/// before what is scored.
class RetrievalArm : public ReducingArm {
 public:
  std::string_view name() const override { return "retrieval"; }
  void fields(FieldsIo& io) override;
  std::vector<TokenRange> keep(const EvalSubject& subject, const LongContext& context) override;
  double flops(CausalLm& model, int64_t length, int64_t tokens_read) const override;

 private:
  std::vector<double> scores(const EvalSubject& subject, const LongContext& context,
                             const std::vector<TokenRange>& chunks);

  std::string method_ = "bm25";
  int64_t chunk_tokens_ = 256;
  int64_t top_k_ = 0;
  std::vector<std::vector<int64_t>> embedded_;  // the chunks that embeddings_ is of
  at::Tensor embeddings_;                       // [chunks, hidden_size]
};

}  // namespace longspan
