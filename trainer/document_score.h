#pragma once

#include "data/store/token_store.h"
#include "src/model/causal_lm.h"
#include "trainer/short_context.h"

namespace longspan {

/// How a document is read to be scored: in passages, of which each is a text of its own.
struct DocumentScoreOptions {
  int64_t length = 8192;  // places of a passage
  ShortContext short_context = {};
  int64_t passages = 0;  // at most, spread over the document; 0: all
  int64_t loss_chunk_tokens = 512;
};

/// How much more the far context of a document tells of it than a near one.
struct DocumentScore {
  double score = 0;       // nats a predicted token
  int64_t predicted = 0;  // labels that were read
  int64_t with_far = 0;   // of these, how many have more context than the short one
};

/// LongFilter's score (arXiv:2510.25804): the mean over predicted tokens of
/// exp(-L_long) (L_short - L_long), the part of the information gain (of the divergence of the two
/// predictions) that the token itself shows. L_long is its loss in the passage, L_short that with
/// the short context (short_windows); a token of which both are the same context adds 0. With the
/// attention and RoPE that the model has. A document of no label has a score of 0; one
/// of a loss that is not finite is NaN.
DocumentScore score_document(CausalLm& model, const TokenStore& store,
                             const StoredDocument& document, const DocumentScoreOptions& options);

}  // namespace longspan
