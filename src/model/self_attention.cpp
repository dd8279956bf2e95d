#include "src/model/self_attention.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/split_with_sizes.h>

#include <cmath>

namespace longspan {

namespace {

double query_scale(const ModelConfig& config) {
  double scalar = config.decoder.query_pre_attn_scalar;
  return scalar > 0 ? std::sqrt(static_cast<double>(config.head_dim) / scalar) : 1.0;
}

}  // namespace

SelfAttention::SelfAttention(const ModelConfig& c)
    : head_dim_(c.head_dim),
      num_attention_heads_(c.num_attention_heads),
      num_key_value_heads_(c.num_key_value_heads),
      query_scale_(query_scale(c)) {
  const DecoderOptions& options = c.decoder;
  int64_t query_size = c.num_attention_heads * c.head_dim;
  int64_t key_value_size = c.num_key_value_heads * c.head_dim;
  auto from_hidden = [&](int64_t out_features) {
    return std::make_unique<Linear>(c.hidden_size, out_features, options.qkv_bias);
  };
  if (options.fused_projections) {
    qkv_proj_ = from_hidden(query_size + 2 * key_value_size);
  } else {
    q_proj_ = from_hidden(query_size);
    k_proj_ = from_hidden(key_value_size);
    v_proj_ = from_hidden(key_value_size);
  }
  o_proj_ = std::make_unique<Linear>(query_size, c.hidden_size, options.o_bias);
  if (options.qk_norm) {
    auto norm = [&] {
      return std::make_unique<RmsNorm>(c.head_dim, c.rms_norm_eps, options.zero_centered_norms);
    };
    q_norm_ = norm();
    k_norm_ = norm();
  }
}

std::vector<const Linear*> SelfAttention::in_projections() const {
  if (qkv_proj_) return {qkv_proj_.get()};
  return {q_proj_.get(), k_proj_.get(), v_proj_.get()};
}

Heads SelfAttention::heads(std::vector<at::Tensor> projected) const {
  for (at::Tensor& y : projected) y = y.unflatten(-1, {-1, head_dim_});  // [B, T, heads, D]
  if (qkv_proj_) {
    projected = projected[0].split_with_sizes(
        {num_attention_heads_, num_key_value_heads_, num_key_value_heads_}, 2);
  }
  at::Tensor q = projected[0], k = projected[1], v = projected[2];
  if (q_norm_) {
    q = q_norm_->forward(q);
    k = k_norm_->forward(k);
  }
  if (query_scale_ != 1) q = q * query_scale_;
  return {q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)};
}

at::Tensor SelfAttention::attend(std::vector<at::Tensor> projected, const AttentionPattern& pattern,
                                 const AttentionContext& context) const {
  return pattern.attend(heads(std::move(projected)), context).transpose(1, 2).flatten(2);
}

void SelfAttention::visit_linears(const std::string& prefix, const CausalLm::LinearVisitor& visit) {
  if (qkv_proj_) visit(prefix + "qkv_proj", qkv_proj_);
  if (q_proj_) visit(prefix + "q_proj", q_proj_);
  if (k_proj_) visit(prefix + "k_proj", k_proj_);
  if (v_proj_) visit(prefix + "v_proj", v_proj_);
  visit(prefix + "o_proj", o_proj_);
}

void SelfAttention::visit_parameters(const std::string& prefix, const ParameterVisitor& visit) {
  visit_linears(prefix, [&](const std::string& name, std::unique_ptr<Linear>& linear) {
    linear->visit_parameters(name + ".", visit);
  });
  if (!q_norm_) return;
  q_norm_->visit_parameters(prefix + "q_norm.", visit);
  k_norm_->visit_parameters(prefix + "k_norm.", visit);
}

}  // namespace longspan
