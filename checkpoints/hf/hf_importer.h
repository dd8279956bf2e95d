#pragma once

#include <memory>
#include <string>

#include "checkpoints/model_source.h"
#include "src/model/causal_lm.h"

namespace longspan {

/// What the weights are loaded as.
struct ImportOptions {
  at::ScalarType dtype = at::kBFloat16;
  /// Of the projections' weights; embeddings, norms, biases and lm_head stay dense, as
  /// bitsandbytes leaves them. Merging never looks at it: it adds to the weights of the file.
  Quantization quantization = Quantization::kNone;
};

/// Builds the model and loads each parameter. Missing, surplus or misshapen tensors throw
/// Error(kModel) that lists them, NaN or infinite weights one that names the tensor. Parameters
/// already of options.dtype are views of the file, whose pages come into memory when they are used:
/// apply_lora clones those it makes trainable. Quantised ones are made tensor by tensor from the
/// value rounded to options.dtype.
std::unique_ptr<CausalLm> import_model(const ModelSource& source, const ImportOptions& options);

/// The same with a config other than the source's (its RoPE, or lm_head untied: then lm_head begins
/// as embed_tokens).
std::unique_ptr<CausalLm> import_model(const ModelSource& source, const ModelConfig& config,
                                       const ImportOptions& options);

/// Throws Error(kModel) that lists the tensors which are missing, surplus, misshapen or of integers
/// in a model of `config`, or which say that its embeddings are not tied when it does.
void require_fitting_tensors(const ModelSource& source, const ModelConfig& config);

/// Throws Error(kModel) naming place and tensor when a value is NaN or infinite.
void check_finite(const at::Tensor& tensor, const std::string& name, const std::string& place);

}  // namespace longspan
