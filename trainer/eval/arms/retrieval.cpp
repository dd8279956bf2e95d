#include "trainer/eval/arms/retrieval.h"

#include <ATen/ops/matmul.h>

#include <algorithm>

#include "trainer/eval/arms/bm25.h"
#include "trainer/eval/arms/chunk_embedding.h"
#include "trainer/eval/arms/full.h"

namespace longspan {

void RetrievalArm::fields(FieldsIo& io) {
  io.choice("method", method_, {"bm25", "embedding"},
            "how chunks are found: by words, or by the model's mean hidden state");
  io.whole("chunk_tokens", chunk_tokens_, {1, int64_t{1} << 30}, "tokens of a chunk");
  io.whole("top_k", top_k_, {0, int64_t{1} << 30}, "chunks to read at most",
           {.otherwise = "as many as the budget holds"});
  ReducingArm::fields(io);
}

std::vector<double> RetrievalArm::scores(const EvalSubject& subject, const LongContext& context,
                                         const std::vector<TokenRange>& chunks) {
  if (method_ == "bm25") {
    std::vector<std::string> texts;
    for (const TokenRange& chunk : chunks) texts.push_back(context.text_of(chunk));
    return bm25_scores(texts, context.question);
  }
  std::vector<std::vector<int64_t>> texts;
  for (const TokenRange& chunk : chunks) {
    texts.emplace_back(context.ids.begin() + chunk.begin, context.ids.begin() + chunk.end);
  }
  if (embedded_ != texts) {
    embeddings_ = mean_hidden_states(subject, texts);
    embedded_ = std::move(texts);
  }
  const std::vector<int32_t> asked = subject.tokenizer.encode(context.question);
  const at::Tensor question =
      mean_hidden_states(subject, {{asked.begin(), asked.end()}});  // [1, C]
  const at::Tensor cosines = at::matmul(embeddings_, question[0]).to(at::kDouble).contiguous();
  const auto* first = cosines.const_data_ptr<double>();
  return {first, first + cosines.numel()};
}

double RetrievalArm::flops(CausalLm& model, int64_t length, int64_t tokens_read) const {
  double flops = ReducingArm::flops(model, length, tokens_read);
  if (method_ == "bm25") return flops;
  for (const TokenRange& chunk : chunks_of({0, length}, chunk_tokens_)) {
    flops += FullArm().flops(model, chunk.size(), chunk.size());
  }
  return flops;
}

std::vector<TokenRange> RetrievalArm::keep(const EvalSubject& subject, const LongContext& context) {
  const int64_t size = context.size();
  const int64_t near = context.plain_text ? std::min(context.budget / 2, size) : 0;
  const std::vector<TokenRange> chunks = chunks_of({0, size - near}, chunk_tokens_);
  std::vector<TokenRange> kept;
  if (!chunks.empty()) {
    auto ranked = by_falling_score(chunks, scores(subject, context, chunks));
    if (top_k_ > 0) ranked.resize(std::min(ranked.size(), static_cast<size_t>(top_k_)));
    kept = within_budget(ranked, context.budget - near);
  }
  if (near > 0) kept.push_back({size - near, size});
  return kept;
}

}  // namespace longspan
