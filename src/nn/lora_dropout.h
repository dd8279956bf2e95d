#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>

namespace longspan {

/// While one lives, LoRA's dropout acts: it is made around forward and backward of a training pass.
class DropoutPass {
 public:
  /// `number` tells the passes of a run apart. Another one must not live.
  DropoutPass(uint64_t seed, uint64_t number);
  ~DropoutPass();
  DropoutPass(const DropoutPass&) = delete;
  DropoutPass& operator=(const DropoutPass&) = delete;
};

/// While one lives, the input of a projection begins at this token of its rows: of each chunk.
class FirstToken {
 public:
  explicit FirstToken(int64_t token);
  ~FirstToken();
  FirstToken(const FirstToken&) = delete;
  FirstToken& operator=(const FirstToken&) = delete;

 private:
  int64_t before_;
};

/// What decides, together with the projection, which elements of an input are dropped.
struct DropoutPlace {
  uint64_t seed = 0, pass = 0;
  int64_t first_token = 0, tokens = 1;  // of each of the batch's rows
};

/// Of x [..., T, in_features]; none outside of a DropoutPass.
std::optional<DropoutPlace> dropout_place(const at::Tensor& x);

/// PEFT's lora_dropout, on the input of A: D(x) is 0 with the probability p, else x / (1 - p).
/// Which elements are 0 follows from pass, projection, row and token alone, so that a layer
/// computed again or in chunks drops the same.
class LoraDropout {
 public:
  /// `projection` tells those of a model apart. p below 1.
  LoraDropout(double p, uint64_t projection) : p_(p), projection_(projection) {}

  /// D(x); x [..., T, in_features]
  at::Tensor apply(const at::Tensor& x, const DropoutPlace& place) const;
  /// D(rows) A^T, [N, r]. rows [N, in_features], all T of one row before those of the next; A [r,
  /// in_features].
  at::Tensor product(const at::Tensor& rows, const at::Tensor& a, const DropoutPlace& place) const;
  /// The gradient of A for grad [N, r], that of product(); adds that of rows to `grad_rows`, where
  /// it is defined. In float32 where GradientSums is at work.
  at::Tensor backward(const at::Tensor& grad, const at::Tensor& rows, const at::Tensor& a,
                      const DropoutPlace& place, at::Tensor& grad_rows) const;

 private:
  /// 0 or 1 / (1 - p) for the rows from `begin` on, of the dtype and device of `like`.
  at::Tensor mask(int64_t begin, int64_t rows, const at::Tensor& like,
                  const DropoutPlace& place) const;

  double p_;
  uint64_t projection_;
};

}  // namespace longspan
