#include "src/nn/lora_dropout.h"

#include <ATen/Dispatch.h>
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/PhiloxRNGEngine.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/zeros.h>
#include <torch/library.h>

#include <algorithm>
#include <cmath>

#include "src/nn/gradient_sums.h"
#include "src/nn/kernels/dropout_group.h"
#include "src/nn/sum_of_products.h"
#include "src/simd/operators.h"

namespace longspan {

namespace {

// Fills mask [N, C], contiguous, by the DropoutDraw of these.
using DrawDropout = void(at::Tensor mask, int64_t key, int64_t threshold, double kept,
                         int64_t begin, int64_t first_token, int64_t tokens);

// A mask is as large as the input of its projection; so many rows of it exist at a time on a CPU,
// and so many elements on a GPU, which needs more work at once.
constexpr int64_t kDropoutRows = 1024, kDropoutElements = int64_t{1} << 25;

// Not thread_local: on a GPU, backward runs in a thread of autograd's.
std::optional<DropoutPlace> current_pass;
thread_local int64_t current_first_token = 0;

/// run(begin, count) for blocks of the rows of x [N, C].
template <class Run>
void each_block(const at::Tensor& x, Run run) {
  const int64_t rows = x.size(0);
  const int64_t most =
      x.is_cpu() ? kDropoutRows : std::max(kDropoutRows, kDropoutElements / x.size(1));
  for (int64_t begin = 0; begin < rows; begin += most) run(begin, std::min(most, rows - begin));
}

void draw_on_cpu(at::Tensor mask, int64_t key, int64_t threshold, double kept, int64_t begin,
                 int64_t first_token, int64_t tokens) {
  const int64_t columns = mask.size(1);
  const DropoutDraw draw{.key = static_cast<uint64_t>(key),
                         .threshold = static_cast<uint32_t>(threshold),
                         .begin = begin,
                         .first_token = first_token,
                         .tokens = tokens};
  AT_DISPATCH_FLOATING_TYPES_AND2(at::kBFloat16, at::kHalf, mask.scalar_type(), "dropout", [&] {
    auto* data = mask.mutable_data_ptr<scalar_t>();
    at::parallel_for(0, mask.size(0), /*grain_size=*/16, [&](int64_t from, int64_t to) {
      scalar_t drawn[kDropoutGroup];
      for (int64_t row = from; row < to; ++row) {
        const uint64_t subsequence = draw.subsequence(row);
        for (int64_t column = 0; column < columns; column += kDropoutGroup) {
          draw_dropout_group(draw, subsequence, column / kDropoutGroup, static_cast<scalar_t>(kept),
                             drawn);
          std::copy_n(drawn, std::min<int64_t>(kDropoutGroup, columns - column),
                      data + row * columns + column);
        }
      }
    });
  });
}

}  // namespace

DropoutPass::DropoutPass(uint64_t seed, uint64_t number) {
  current_pass = DropoutPlace{.seed = seed, .pass = number};
}

DropoutPass::~DropoutPass() { current_pass.reset(); }

FirstToken::FirstToken(int64_t token) : before_(current_first_token) {
  current_first_token = token;
}

FirstToken::~FirstToken() { current_first_token = before_; }

std::optional<DropoutPlace> dropout_place(const at::Tensor& x) {
  if (!current_pass) return std::nullopt;
  DropoutPlace place = *current_pass;
  place.first_token = current_first_token;
  place.tokens = x.dim() > 1 ? x.size(-2) : 1;
  return place;
}

at::Tensor LoraDropout::mask(int64_t begin, int64_t rows, const at::Tensor& like,
                             const DropoutPlace& place) const {
  static const auto op = find_operator<DrawDropout>("longspan::draw_dropout");
  at::Tensor mask = at::empty({rows, like.size(-1)}, like.options());
  at::Philox4_32 of_pass(place.seed, place.pass, projection_);
  const uint64_t low = of_pass(), key = uint64_t{of_pass()} << 32 | low;
  op.call(mask, static_cast<int64_t>(key), std::lround(p_ * 65536), 1 / (1 - p_), begin,
          place.first_token, place.tokens);
  return mask;
}

at::Tensor LoraDropout::apply(const at::Tensor& x, const DropoutPlace& place) const {
  return x * mask(0, x.numel() / x.size(-1), x, place).view(x.sizes());
}

at::Tensor LoraDropout::product(const at::Tensor& rows, const at::Tensor& a,
                                const DropoutPlace& place) const {
  at::Tensor result = at::empty({rows.size(0), a.size(0)}, rows.options());
  each_block(rows, [&](int64_t begin, int64_t count) {
    const at::Tensor block = rows.narrow(0, begin, count);
    result.narrow(0, begin, count).copy_(at::linear(block * mask(begin, count, rows, place), a));
  });
  return result;
}

at::Tensor LoraDropout::backward(const at::Tensor& grad, const at::Tensor& rows,
                                 const at::Tensor& a, const DropoutPlace& place,
                                 at::Tensor& grad_rows) const {
  at::Tensor grad_a =
      at::zeros(a.sizes(), a.options().dtype(c10::promoteTypes(a.scalar_type(), at::kFloat)));
  each_block(rows, [&](int64_t begin, int64_t count) {
    const at::Tensor block = mask(begin, count, rows, place), part = grad.narrow(0, begin, count);
    grad_a.add_(sum_of_products(part, rows.narrow(0, begin, count) * block));
    if (grad_rows.defined()) grad_rows.narrow(0, begin, count).add_(at::mm(part, a) * block);
  });
  return GradientSums::is_at_work() ? grad_a : grad_a.to(a.scalar_type());
}

TORCH_LIBRARY_FRAGMENT(longspan, library) {
  library.def(
      "draw_dropout(Tensor(a!) mask, int key, int threshold, float kept, int begin,"
      " int first_token, int tokens) -> ()");
}

TORCH_LIBRARY_IMPL(longspan, CPU, library) { library.impl("draw_dropout", draw_on_cpu); }

}  // namespace longspan
