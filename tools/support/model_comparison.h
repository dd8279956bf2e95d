#pragma once

#include <map>

#include "checkpoints/adapters/peft_adapter.h"
#include "src/core/json.h"
#include "trainer/eval/logit_comparison.h"

namespace longspan {

/// A model to compare: a folder or file, or an adapter and the base it belongs to.
struct ComparedModel {
  std::filesystem::path model;
  std::filesystem::path adapter_folder;        // empty without one
  std::shared_ptr<const PeftAdapter> adapter;  // what is in it

  std::string label() const;
};

struct ComparisonOptions {
  std::vector<int64_t> lengths;  // tokens read
  int64_t last = 64;             // of which so many last ones are compared
  at::ScalarType dtype = at::kFloat;
  double tolerance = 0;           // largest |difference| / |logits|; 0: by how the model is stored
  std::vector<int64_t> text_ids;  // at least the longest length; empty: made_ids
};

/// How far a model's weights are rounded: to a dtype, or in blocks.
struct StoredPrecision {
  at::ScalarType dtype = at::kFloat;  // of most of the weights
  TensorTypes tensors;                // of each; a GGUF's norms stay F32. Empty: float32
  std::string quantized;              // GGUF's name of most of the weights; "" for a dtype

  std::string name() const;
};

/// The first of the compared models: its logits as it is, and rounded as each of the others is
/// stored, so that what remains is error and no rounding.
class ReferenceModel {
 public:
  /// Both must outlive it.
  ReferenceModel(const ComparedModel& model, const ComparisonOptions& options);

  /// {"model", "stored_as", "quantized", "equal", "tolerance", "rows": [{"length",
  /// "equally_rounded", "as_stored"}]}, the differences as LogitDifference names them; "problem"
  /// for another context, and in place of tolerance and rows for another vocabulary. The tolerance
  /// is of "equally_rounded", or of a quantised model of either: who quantised it may have chosen
  /// other scales.
  Json compare(const ComparedModel& other);

 private:
  const std::vector<at::Tensor>& rounded(const TensorTypes& types);
  double tolerance_of(const StoredPrecision& stored);

  const ComparedModel& model_;
  const ComparisonOptions& options_;
  StoredPrecision stored_;
  int64_t vocab_size_ = 0, usable_length_ = 0;
  std::vector<at::Tensor> exact_;  // [last, V] of each length
  std::map<TensorTypes, std::vector<at::Tensor>> rounded_;
};

}  // namespace longspan
