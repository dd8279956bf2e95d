#include "src/nn/embedding.h"

#include <ATen/Dispatch.h>
#include <ATen/OpMathType.h>
#include <ATen/Parallel.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/embedding_dense_backward.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <numeric>
#include <vector>

namespace longspan {

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// The places of each token that gets a gradient: those of tokens i are
/// places[begins[i]] to places[begins[i + 1]].
struct Places {
  std::vector<int64_t> places, begins;

  Places(const int64_t* ids, int64_t count, int64_t padding_idx) : places(count) {
    std::iota(places.begin(), places.end(), 0);
    std::erase_if(places, [&](int64_t place) { return ids[place] == padding_idx; });
    std::stable_sort(places.begin(), places.end(),
                     [&](int64_t a, int64_t b) { return ids[a] < ids[b]; });
    for (size_t i = 0; i < places.size(); ++i) {
      if (i == 0 || ids[places[i]] != ids[places[i - 1]]) begins.push_back(i);
    }
    begins.push_back(places.size());
  }

  int64_t tokens() const { return static_cast<int64_t>(begins.size()) - 1; }
};

/// gradient [N, C] -> [rows, C] in its dtype. Beside the result it takes one row in float32 a
/// thread.
at::Tensor sum_by_token(const at::Tensor& gradient, const at::Tensor& ids, int64_t rows,
                        int64_t padding_idx) {
  const int64_t columns = gradient.size(1);
  const int64_t* id = ids.const_data_ptr<int64_t>();
  const Places of(id, ids.numel(), padding_idx);
  at::Tensor out = at::zeros({rows, columns}, gradient.options());
  AT_DISPATCH_FLOATING_TYPES_AND2(
      at::kBFloat16, at::kHalf, gradient.scalar_type(), "sum_by_token", [&] {
        const auto* from = gradient.const_data_ptr<scalar_t>();
        auto* to = out.mutable_data_ptr<scalar_t>();
        at::parallel_for(0, of.tokens(), /*grain_size=*/1, [&](int64_t begin, int64_t end) {
          std::vector<at::opmath_type<scalar_t>> sum(columns);
          for (int64_t token = begin; token < end; ++token) {
            std::fill(sum.begin(), sum.end(), 0);
            for (int64_t i = of.begins[token]; i < of.begins[token + 1]; ++i) {
              const scalar_t* row = from + of.places[i] * columns;
              for (int64_t c = 0; c < columns; ++c) sum[c] += row[c];
            }
            std::copy(sum.begin(), sum.end(), to + id[of.places[of.begins[token]]] * columns);
          }
        });
      });
  return out;
}

class Embedding : public torch::autograd::Function<Embedding> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& weight,
                            const at::Tensor& ids, int64_t padding_idx) {
    context->save_for_backward({ids});
    context->saved_data["rows"] = weight.size(0);
    context->saved_data["padding_idx"] = padding_idx;
    return at::embedding(weight, ids, padding_idx);
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const at::Tensor ids = context->get_saved_variables()[0];
    const int64_t rows = context->saved_data["rows"].toInt();
    const int64_t padding_idx = context->saved_data["padding_idx"].toInt();
    const at::Tensor& gradient = gradients[0];
    // LibTorch's on CUDA sums in float32.
    at::Tensor sum = gradient.is_cpu()
                         ? sum_by_token(gradient.reshape({-1, gradient.size(-1)}).contiguous(), ids,
                                        rows, padding_idx)
                         : at::embedding_dense_backward(gradient, ids, rows, padding_idx, false);
    return {sum, at::Tensor(), at::Tensor()};
  }
};

}  // namespace

at::Tensor embed_tokens(const at::Tensor& weight, const at::Tensor& ids, int64_t padding_idx) {
  return Embedding::apply(weight, ids.contiguous(), padding_idx);
}

}  // namespace longspan
