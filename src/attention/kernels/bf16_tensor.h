#pragma once

#include <ATen/core/Tensor.h>

#include "src/core/processor.h"

namespace longspan {

/// Whether the kernels of *_bf16.cpp take this tensor.
inline bool runs_bf16_kernels(const at::Tensor& x) {
  return x.is_cpu() && x.scalar_type() == at::kBFloat16 && has_avx512_bf16();
}

inline const uint16_t* bf16_data(const at::Tensor& x) {
  return reinterpret_cast<const uint16_t*>(x.const_data_ptr<at::BFloat16>());
}

inline uint16_t* mutable_bf16_data(const at::Tensor& x) {
  return reinterpret_cast<uint16_t*>(x.mutable_data_ptr<at::BFloat16>());
}

}  // namespace longspan
