#include "src/nn/lora_dropout.h"

#include <ATen/Dispatch.h>
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/PhiloxRNGEngine.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>

#include "src/nn/gradient_sums.h"
#include "src/nn/sum_of_products.h"

namespace longspan {

namespace {

// A mask is as large as the input of its projection; so much of it exists at a time.
constexpr int64_t kDropoutRows = 1024;
constexpr int kPhiloxRounds = 7;  // the fewest that pass BigCrush (Salmon et al. 2011)

// Not thread_local: on a GPU, backward runs in a thread of autograd's.
std::optional<DropoutPlace> current_pass;
thread_local int64_t current_first_token = 0;

template <class Run>
void each_block(int64_t rows, Run run) {
  for (int64_t begin = 0; begin < rows; begin += kDropoutRows) {
    run(begin, std::min(kDropoutRows, rows - begin));
  }
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
  const int64_t columns = like.size(-1);
  at::Tensor mask = at::empty({rows, columns}, like.options().device(at::kCPU));
  at::Philox4_32 of_pass(place.seed, place.pass, projection_);
  const uint64_t low = of_pass(), key = uint64_t{of_pass()} << 32 | low;
  const auto threshold = static_cast<uint32_t>(std::lround(p_ * 65536));
  AT_DISPATCH_FLOATING_TYPES_AND2(at::kBFloat16, at::kHalf, like.scalar_type(), "dropout", [&] {
    const auto kept = static_cast<scalar_t>(1 / (1 - p_));
    auto* data = mask.data_ptr<scalar_t>();
    at::parallel_for(0, rows, /*grain_size=*/16, [&](int64_t from, int64_t to) {
      for (int64_t row = from; row < to; ++row) {
        const auto batch_row = static_cast<uint64_t>((begin + row) / place.tokens);
        const auto token = static_cast<uint64_t>(place.first_token + (begin + row) % place.tokens);
        at::Philox4_32 random(key, batch_row << 32 | token);
        scalar_t* out = data + row * columns;
        for (int64_t column = 0; column < columns; column += 2) {  // of 16 bits each
          const uint32_t bits = random(kPhiloxRounds);
          out[column] = (bits & 0xffff) < threshold ? scalar_t(0) : kept;
          if (column + 1 < columns) out[column + 1] = bits >> 16 < threshold ? scalar_t(0) : kept;
        }
      }
    });
  });
  return mask.to(like.device());
}

at::Tensor LoraDropout::apply(const at::Tensor& x, const DropoutPlace& place) const {
  return x * mask(0, x.numel() / x.size(-1), x, place).view(x.sizes());
}

at::Tensor LoraDropout::product(const at::Tensor& rows, const at::Tensor& a,
                                const DropoutPlace& place) const {
  at::Tensor result = at::empty({rows.size(0), a.size(0)}, rows.options());
  each_block(rows.size(0), [&](int64_t begin, int64_t count) {
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
  each_block(rows.size(0), [&](int64_t begin, int64_t count) {
    const at::Tensor block = mask(begin, count, rows, place), part = grad.narrow(0, begin, count);
    grad_a.add_(sum_of_products(part, rows.narrow(0, begin, count) * block));
    if (grad_rows.defined()) grad_rows.narrow(0, begin, count).add_(at::mm(part, a) * block);
  });
  return GradientSums::is_at_work() ? grad_a : grad_a.to(a.scalar_type());
}

}  // namespace longspan
