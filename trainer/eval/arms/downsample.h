#pragma once

#include "trainer/eval/arms/reducing_arm.h"

namespace longspan {

/// The context thinned out: every n-th chunk, whatever is asked, or the sentences with most to say
/// about the question by BM25. Of a plain text half of the budget is the tokens right before what
/// is scored.
class DownsampleArm : public ReducingArm {
 public:
  std::string_view name() const override { return "downsample"; }
  void fields(FieldsIo& io) override;
  std::vector<TokenRange> keep(const EvalSubject& subject, const LongContext& context) override;

 private:
  std::vector<TokenRange> every_nth(TokenRange far, int64_t budget) const;

  std::string by_ = "chunk";
  int64_t chunk_tokens_ = 64;
  int64_t every_ = 0;
};

/// The sentences of a text: each ends behind a '.', '!' or '?' that white space follows, or behind
/// a line. Together they are all of it.
std::vector<Span> sentence_spans(const std::string& text);

}  // namespace longspan
