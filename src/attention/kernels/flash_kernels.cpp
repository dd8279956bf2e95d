#include "src/attention/kernels/flash_operands.h"
#include "src/core/processor.h"

namespace longspan::flash {

const Kernels* kernels_for(const at::Tensor& q) {
  if (!q.is_cpu() || q.size(3) % 16 != 0 || q.size(3) > kMaxHeadDim) return nullptr;
  const bool bf16 = q.scalar_type() == at::kBFloat16;
  if (!bf16 && q.scalar_type() != at::kFloat) return nullptr;
  switch (processor()) {
    case Processor::kNone:
      return nullptr;
    case Processor::kAvx2:
      return bf16 ? &kAvx2FloatOfBf16 : &kAvx2Float;
    case Processor::kAvx512:
      return bf16 ? &kAvx512FloatOfBf16 : &kAvx512Float;
    case Processor::kAvx512Bf16:
      return bf16 ? &kAvx512Bf16 : &kAvx512Float;
  }
  return nullptr;
}

}  // namespace longspan::flash
