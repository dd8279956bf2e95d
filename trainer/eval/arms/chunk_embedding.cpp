#include "trainer/eval/arms/chunk_embedding.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>

#include <algorithm>

namespace longspan {

namespace {

constexpr size_t kRowsOfAPass = 16;

}  // namespace

at::Tensor mean_hidden_states(const EvalSubject& subject,
                              const std::vector<std::vector<int64_t>>& texts) {
  const at::NoGradGuard no_gradients;
  const at::Device device = subject.model.lm_head_weight().device();
  std::vector<at::Tensor> means;
  for (size_t begin = 0; begin < texts.size();) {
    std::vector<at::Tensor> rows;  // texts of one length
    for (size_t i = begin;
         i < texts.size() && rows.size() < kRowsOfAPass && texts[i].size() == texts[begin].size();
         ++i) {
      std::vector<int64_t> ids = texts[i];
      if (subject.bos_token_id) ids.insert(ids.begin(), *subject.bos_token_id);
      rows.push_back(at::tensor(ids, at::kLong));
    }
    begin += rows.size();
    const at::Tensor ids = at::stack(rows).to(device);
    means.push_back(subject.model.hidden_states({ids, {}, {}}).to(at::kFloat).mean(1));  // [B, C]
  }
  const at::Tensor all = at::cat(means).cpu();
  return all / at::linalg_vector_norm(all, 2, at::IntArrayRef{1}, /*keepdim=*/true);
}

}  // namespace longspan
