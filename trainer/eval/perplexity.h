#pragma once

#include <optional>
#include <string>
#include <vector>

#include "trainer/eval/eval_task.h"

namespace longspan {

/// The fixed-target context sweep: the same last tokens before the largest length L_max are scored
/// with every length, so that lengths differ in the context alone, not in which tokens count.
///
/// A length L is the number of tokens the model reads: a BOS where the tokenizer adds one, then the
/// L (or L - 1) tokens of the document that end at its token L_max (L_max - 1). The last `targets`
/// of them are scored, the first of these with L - targets tokens before it. Logits are of the
/// model's dtype, as in transformers, their softmax of float32.
class Perplexity : public EvalTask {
 public:
  std::string_view name() const override { return "perplexity"; }
  std::string_view title() const override { return "Loss by context length"; }
  /// text: a list of files, folders, globs (see data/documents/document_files.h); documents: the
  /// first so many that are long enough, 0 for all; targets: scored tokens a document.
  void read(Fields& fields) override;
  Json write() const override;
  std::vector<std::filesystem::path> inputs() const override;
  void check(const EvalOptions& options) const override;
  bool scores_plain_text() const override { return true; }
  void take_share(double share) override { share_ = share; }
  /// Documents shorter than L_max are left out with a warning; when none is long enough,
  /// Error(kData) names the longest.
  TaskResult run(const EvalSubject& subject, const EvalOptions& options) const override;
  void check_rows(const Json& rows, Diagnostics& diagnostics) const override;
  std::vector<Table> tables(const std::vector<LabelledRows>& models,
                            size_t reference) const override;
  std::vector<Figure> figures(const std::vector<LabelledRows>& models) const override;

 private:
  std::vector<std::string> text_;
  int64_t documents_ = 0;
  int64_t targets_ = 512;
  double share_ = 1;  // of the documents
};

/// One context length of one model.
struct PerplexityRow {
  int64_t length = 0;
  double nll = 0;                              // mean over all scored tokens, nats a token
  std::optional<double> nll_standard_error{};  // over documents; none for one document
  double ppl = 0;                              // exp(nll)
  double bits_per_byte = 0;                    // sum of nll / (ln 2 x bytes of the scored tokens)
  int64_t tokens_scored = 0;
  std::vector<double> document_nll{};  // in the order of the protocol's documents
  double seconds = 0;

  Json write() const;
  void read(Fields& fields);
};

/// The first L_max tokens of a document (less one where a BOS comes before them): the last
/// `targets` of them are scored.
struct TargetDocument {
  std::string name;
  std::vector<int64_t> ids{};
  int64_t document_tokens = 0;
  int64_t target_bytes = 0;  // of the text of the scored tokens
};

/// The `length` tokens to read for `document`: a BOS if there is one, then the document's last ids.
std::vector<int64_t> context_window(const TargetDocument& document, int64_t length,
                                    std::optional<int64_t> bos_token_id);

}  // namespace longspan
