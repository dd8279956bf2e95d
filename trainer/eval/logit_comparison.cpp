#include "trainer/eval/logit_comparison.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/argmax.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <cstddef>

#include "checkpoints/dtype.h"
#include "checkpoints/gguf/gguf_blocks.h"

namespace longspan {

namespace {

const GgmlType* block_type(const std::string& type) {
  const GgmlType* found = find_ggml_type(type);
  return found != nullptr && found->quantize_block != nullptr ? found : nullptr;
}

/// Row by row into blocks and back.
at::Tensor through_blocks(const at::Tensor& weight, const GgmlType& type) {
  if (weight.size(-1) % type.block_elements != 0) return weight;
  const at::Tensor x = weight.to(at::kCPU, at::kFloat).contiguous();
  const int64_t blocks = x.numel() / type.block_elements;
  std::vector<std::byte> data(static_cast<size_t>(blocks * type.block_bytes));
  quantize(type, x.const_data_ptr<float>(), blocks, data.data());
  at::Tensor back = at::empty_like(x);
  dequantize(type, data.data(), blocks, back.mutable_data_ptr<float>());
  return back.to(weight.options());
}

at::Tensor rounded_to(const at::Tensor& weight, const std::string& type) {
  if (const GgmlType* blocks = block_type(type)) return through_blocks(weight, *blocks);
  const auto dtype = from_safetensors_dtype(type);
  return dtype ? weight.to(*dtype).to(weight.scalar_type()) : weight;
}

}  // namespace

LogitDifference compare_logits(const at::Tensor& reference, const at::Tensor& other) {
  at::NoGradGuard no_gradients;
  at::Tensor a = reference.to(at::kDouble), b = other.to(at::kDouble);
  at::Tensor difference = b - a;
  at::Tensor log_p = at::log_softmax(a, -1), log_q = at::log_softmax(b, -1);
  at::Tensor kl = (log_p.exp() * (log_p - log_q)).sum(-1);  // [N]
  LogitDifference result;
  result.max_abs = difference.abs().max().item<double>();
  result.relative = difference.norm().item<double>() / a.norm().item<double>();
  result.argmax_agreement =
      (at::argmax(a, -1) == at::argmax(b, -1)).to(at::kDouble).mean().item<double>();
  // Rounding leaves a sum that should be 0 a little below. NaN stays.
  result.kl = kl.mean().clamp_min(0).item<double>();
  result.largest_kl = kl.max().clamp_min(0).item<double>();
  return result;
}

at::Tensor last_logits(CausalLm& model, const std::vector<int64_t>& ids, int64_t count) {
  at::NoGradGuard no_gradients;
  auto length = static_cast<int64_t>(ids.size());
  count = std::min(count, length);
  const at::Device device = model.lm_head_weight().device();
  at::Tensor hidden =
      model.hidden_states({at::tensor(ids, at::kLong).unsqueeze(0).to(device), {}, {}});
  at::Tensor last = hidden.squeeze(0).narrow(0, length - count, count);
  return at::linear(last, model.lm_head_weight()).to(at::kFloat);
}

std::vector<int64_t> made_ids(int64_t count, int64_t vocab_size) {
  std::vector<int64_t> ids;
  for (int64_t i = 0; i < count; ++i) ids.push_back((7919 * i + 13) % vocab_size);
  return ids;
}

bool can_round_to(const std::string& type) {
  return block_type(type) != nullptr || from_safetensors_dtype(type).has_value();
}

void round_weights(CausalLm& model, const TensorTypes& types) {
  at::NoGradGuard no_gradients;
  model.visit_linears([](const std::string&, std::unique_ptr<Linear>& linear) {
    auto plain = std::make_unique<Linear>(linear->in_features(), linear->out_features(),
                                          linear->bias.defined());
    plain->weight = linear->merged_weight();
    plain->bias = linear->bias;
    linear = std::move(plain);
  });
  model.visit_parameters("", [&](const std::string& name, at::Tensor& parameter) {
    const auto found = types.find(name);
    if (found != types.end()) parameter = rounded_to(parameter.detach(), found->second);
  });
}

}  // namespace longspan
