#include "src/attention/kernels/joint_attention.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/zeros_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include <utility>

#include "src/attention/kernels/merge_attention.h"
#include "src/simd/operators.h"

namespace longspan {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// A part with its operands.
struct Work {
  const KeyPart& part;
  const KeySource& source;

  Work(const KeyPart& of, const std::vector<KeySource>& sources)
      : part(of), source(sources[of.source]) {}
  /// Of the part's rows.
  at::Tensor rows(const at::Tensor& x) const {
    return x.narrow(0, part.first_row, source.k.size(0));
  }
  /// Of the part's keys.
  at::Tensor keys(const at::Tensor& x) const { return x.narrow(2, part.first_key, part.num_keys); }
};

AttentionResult forward_over(const at::Tensor& q, const std::vector<KeySource>& sources,
                             const std::vector<KeyPart>& parts) {
  const at::NoGradGuard no_gradients;
  AttentionResult all;
  for (const KeyPart& part : parts) {
    const Work work(part, sources);
    const AttentionResult here = partial_attention(work.rows(q), work.keys(work.source.k),
                                                   work.keys(work.source.v), part.visible);
    if (!all.out.defined()) {
      if (parts.size() == 1) return here;
      all = {exact(here.out), here.log_sum_exp};
      continue;
    }
    const AttentionResult before{work.rows(all.out), work.rows(all.log_sum_exp)};
    const AttentionResult joined = merge(before, here);
    before.out.copy_(joined.out);
    before.log_sum_exp.copy_(joined.log_sum_exp);
  }
  return {all.out.to(q.scalar_type()), all.log_sum_exp};
}

/// Zeros like x in the dtype of its arithmetic.
at::Tensor exact_zeros_like(const at::Tensor& x) {
  return at::zeros_like(x, x.options().dtype(at::toOpMathType(x.scalar_type())));
}

/// Gradients of a source, summed over its parts.
struct SourceGradients {
  at::Tensor k, v;

  void add(const Work& work, const AttentionGradients& grad) {
    if (!k.defined() && work.part.num_keys == work.source.k.size(2)) {
      k = grad.k;
      v = grad.v;
      return;
    }
    if (!k.defined()) {
      k = exact_zeros_like(work.source.k);
      v = exact_zeros_like(work.source.v);
    }
    work.keys(k).add_(grad.k);
    work.keys(v).add_(grad.v);
  }
};

/// What backward needs beside the tensors of forward.
struct JointParts : torch::CustomClassHolder {
  std::vector<KeyPart> parts;
};

class JointAttention : public torch::autograd::Function<JointAttention> {
 public:
  /// `operands` are q and the keys and values of the sources.
  static at::Tensor forward(AutogradContext* context, at::TensorList operands,
                            const std::vector<KeyPart>* parts, const AttentionResult* kept) {
    variable_list saved(operands.begin(), operands.end());
    const AttentionResult result = kept ? *kept : forward_over(saved[0], sources_of(saved), *parts);
    saved.push_back(result.out);
    saved.push_back(result.log_sum_exp);
    context->save_for_backward(std::move(saved));
    auto shared = c10::make_intrusive<JointParts>();
    shared->parts = *parts;
    context->saved_data["parts"] = c10::IValue::make_capsule(std::move(shared));
    return result.out;
  }

  static variable_list backward(AutogradContext* context, const variable_list& grad_outputs) {
    variable_list saved = context->get_saved_variables();
    const AttentionResult all{saved[saved.size() - 2], saved[saved.size() - 1]};
    saved.resize(saved.size() - 2);
    const at::Tensor& q = saved[0];
    const at::Tensor grad_out = with_contiguous_rows(grad_outputs[0]);
    const std::vector<KeySource> sources = sources_of(saved);
    std::vector<SourceGradients> gradients(sources.size());
    at::Tensor grad_q = exact_zeros_like(q);
    const auto capsule = context->saved_data["parts"].toCapsule();
    for (const KeyPart& part : static_cast<const JointParts&>(*capsule).parts) {
      const Work work(part, sources);
      const AttentionGradients grad = partial_attention_backward(
          work.rows(grad_out), work.rows(q), work.keys(work.source.k), work.keys(work.source.v),
          part.visible, {work.rows(all.out), work.rows(all.log_sum_exp)});
      work.rows(grad_q).add_(grad.q);
      gradients[part.source].add(work, grad);
    }
    variable_list returned;
    // A sum is free before the next is rounded.
    const auto give = [&](at::Tensor& sum, const at::Tensor& operand) {
      returned.push_back(sum.defined() ? sum.to(operand.scalar_type()) : sum);
      sum.reset();
    };
    give(grad_q, q);
    for (size_t i = 0; i < sources.size(); ++i) {
      give(gradients[i].k, sources[i].k);
      give(gradients[i].v, sources[i].v);
    }
    returned.resize(returned.size() + 2);  // of `parts` and `kept`
    return returned;
  }

 private:
  static std::vector<KeySource> sources_of(const variable_list& operands) {
    std::vector<KeySource> sources;
    for (size_t i = 1; i + 1 < operands.size(); i += 2) {
      sources.push_back({operands[i], operands[i + 1]});
    }
    return sources;
  }
};

}  // namespace

at::Tensor joint_attention(const at::Tensor& q, const std::vector<KeySource>& sources,
                           const std::vector<KeyPart>& parts, AttentionResult* kept) {
  if (!at::GradMode::is_enabled()) {
    const AttentionResult result = forward_over(q, sources, parts);
    if (kept) *kept = result;
    return result.out;
  }
  variable_list operands{with_contiguous_rows(q)};
  for (const auto& [k, v] : sources) {
    operands.push_back(with_contiguous_rows(k));
    operands.push_back(with_contiguous_rows(v));
  }
  return JointAttention::apply(at::TensorList(operands), &parts,
                               kept && kept->out.defined() ? kept : nullptr);
}

}  // namespace longspan
