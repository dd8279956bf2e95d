#include "src/nn/float32_for_bf16.h"

#include <ATen/ops/addmm_cpu_dispatch.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mm_cpu_dispatch.h>
#include <c10/util/Exception.h>
#include <torch/library.h>

#include <algorithm>

#include "src/core/processor.h"

namespace longspan {

namespace {

// Rows of a, columns of b and a long inner dimension are taken so many at a time.
constexpr int64_t kRows = 1024, kColumns = 2048, kInner = 2048;
// Fewer rows are bound by reading b, which LibTorch's loops do once, unless the product is deep.
constexpr int64_t kLeastRows = 4;

bool has_bf16_products() { return processor() >= Processor::kAvx512; }

/// Whether the inner dimension is the longest, as for gradients of weights.
bool is_deep(const at::Tensor& a, const at::Tensor& b) {
  return a.size(1) > std::max({kInner, a.size(0), b.size(1)});
}

/// Operands that do not fit are left to LibTorch, which names the mistake.
bool multiplies_in_float32(const at::Tensor& a, const at::Tensor& b) {
  return a.scalar_type() == at::kBFloat16 && b.scalar_type() == at::kBFloat16 && a.dim() == 2 &&
         b.dim() == 2 && a.size(1) == b.size(0) && std::min(a.numel(), b.numel()) > 0 &&
         (a.size(0) >= kLeastRows || is_deep(a, b));
}

at::Tensor in_float32(const at::Tensor& x) { return x.to(at::kFloat); }

/// beta c + alpha a b in float32; c [N, M] or broadcast to it, undefined: alpha a b.
struct Product {
  at::Tensor c;
  at::Tensor a;  // [N, K]
  at::Tensor b;  // [K, M]
  double beta = 0, alpha = 1;

  at::Tensor of(const at::Tensor& c_rows, const at::Tensor& a_rows, const at::Tensor& b_all) const {
    if (c_rows.defined()) return at::cpu::addmm(in_float32(c_rows), a_rows, b_all, beta, alpha);
    at::Tensor product = at::cpu::mm(a_rows, b_all);
    return alpha == 1 ? product : product.mul_(alpha);
  }
};

at::Tensor sum_over_inner_blocks(const Product& p) {
  at::Tensor sum;
  for (int64_t begin = 0; begin < p.a.size(1); begin += kInner) {
    const int64_t count = std::min(kInner, p.a.size(1) - begin);
    const at::Tensor a = in_float32(p.a.narrow(1, begin, count));
    const at::Tensor b = in_float32(p.b.narrow(0, begin, count));
    if (sum.defined()) {
      at::cpu::addmm_(sum, a, b, 1, p.alpha);
    } else {
      sum = p.of(p.c, a, b);
    }
  }
  return sum;
}

void write(const Product& p, at::Tensor& out) {
  if (is_deep(p.a, p.b)) {
    out.copy_(sum_over_inner_blocks(p));
    return;
  }
  const int64_t n = p.a.size(0), m = p.b.size(1);
  const at::Tensor c = p.c.defined() ? p.c.expand({n, m}) : p.c;
  for (int64_t column = 0; column < m; column += kColumns) {
    const int64_t columns = std::min(kColumns, m - column);
    const at::Tensor b = in_float32(p.b.narrow(1, column, columns));
    const auto block = [&](const at::Tensor& x, int64_t row, int64_t rows) {
      return x.narrow(0, row, rows).narrow(1, column, columns);
    };
    for (int64_t row = 0; row < n; row += kRows) {
      const int64_t rows = std::min(kRows, n - row);
      const at::Tensor of_c = c.defined() ? block(c, row, rows) : c;
      block(out, row, rows).copy_(p.of(of_c, in_float32(p.a.narrow(0, row, rows)), b));
    }
  }
}

at::Tensor mm(const at::Tensor& a, const at::Tensor& b) {
  if (!multiplies_in_float32(a, b)) return at::cpu::mm(a, b);
  at::Tensor out = at::empty({a.size(0), b.size(1)}, a.options());
  write({{}, a, b}, out);
  return out;
}

at::Tensor& mm_out(const at::Tensor& a, const at::Tensor& b, at::Tensor& out) {
  const bool ours = multiplies_in_float32(a, b) && out.scalar_type() == at::kBFloat16 &&
                    out.dim() == 2 && out.size(0) == a.size(0) && out.size(1) == b.size(1);
  if (!ours) return at::cpu::mm_out(out, a, b);
  write({{}, a, b}, out);
  return out;
}

at::Tensor addmm(const at::Tensor& c, const at::Tensor& a, const at::Tensor& b,
                 const at::Scalar& beta, const at::Scalar& alpha) {
  if (!multiplies_in_float32(a, b)) return at::cpu::addmm(c, a, b, beta, alpha);
  at::Tensor out = at::empty({a.size(0), b.size(1)}, a.options());
  write({c, a, b, beta.toDouble(), alpha.toDouble()}, out);
  return out;
}

at::Tensor& addmm_(at::Tensor& c, const at::Tensor& a, const at::Tensor& b, const at::Scalar& beta,
                   const at::Scalar& alpha) {
  if (!multiplies_in_float32(a, b)) return at::cpu::addmm_(c, a, b, beta, alpha);
  write({c, a, b, beta.toDouble(), alpha.toDouble()}, c);
  return c;
}

}  // namespace

int64_t bf16_product_scratch_bytes(int64_t inner, int64_t columns) {
  if (has_bf16_products()) return 0;
  const int64_t width = std::min(kColumns, columns);
  return 4 * (inner * width + kRows * (inner + width));
}

void use_float32_for_bf16_products() {
  if (has_bf16_products()) return;
  // LibTorch warns of a kernel in the place of another.
  struct Silent : c10::WarningHandler {
    void process(const c10::Warning&) override {}
  } silent;
  const c10::WarningUtils::WarningHandlerGuard guard(&silent);
  static torch::Library* library = [] {
    auto* registered =
        new torch::Library(torch::Library::IMPL, "aten", c10::DispatchKey::CPU, __FILE__, __LINE__);
    registered->impl("mm", &mm).impl("mm.out", &mm_out);
    registered->impl("addmm", &addmm).impl("addmm_", &addmm_);
    return registered;
  }();
  static_cast<void>(library);
}

}  // namespace longspan
