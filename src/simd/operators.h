#pragma once

#include <ATen/OpMathType.h>
#include <ATen/core/Tensor.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/empty.h>

// What is common to the operators of TORCH_LIBRARY(longspan). Each is declared and has its CPU
// kernel beside the C++ function that calls it; the CUDA kernels are in a plugin (kernels/cuda).

namespace longspan {

/// The operator, by its qualified name: keep it, looking it up takes a lock.
template <class Signature>
c10::TypedOperatorHandle<Signature> find_operator(const char* name) {
  return c10::Dispatcher::singleton().findSchemaOrThrow(name, "").typed<Signature>();
}

/// x in the dtype of its arithmetic: float32, or float64 when it is that.
inline at::Tensor exact(const at::Tensor& x) { return x.to(at::toOpMathType(x.scalar_type())); }

/// Like x [B, H, T, D], its memory [B, T, H, D]: the reshape to [B, T, H * D] that follows is free.
inline at::Tensor time_major_like(const at::Tensor& x) {
  return at::empty({x.size(0), x.size(2), x.size(1), x.size(3)}, x.options()).transpose(1, 2);
}

/// [.., D] with the elements of each row next to each other, as the kernels read them.
inline at::Tensor with_contiguous_rows(const at::Tensor& x) {
  return x.stride(-1) == 1 ? x : x.contiguous();
}

}  // namespace longspan
