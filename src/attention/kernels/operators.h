#pragma once

#include <ATen/OpMathType.h>
#include <ATen/core/Tensor.h>
#include <ATen/core/dispatch/Dispatcher.h>

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

/// [.., D] with the elements of each row next to each other, as the kernels read them.
inline at::Tensor with_contiguous_rows(const at::Tensor& x) {
  return x.stride(-1) == 1 ? x : x.contiguous();
}

}  // namespace longspan
