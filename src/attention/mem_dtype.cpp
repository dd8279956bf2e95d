#include "src/attention/mem_dtype.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/amax.h>
#include <ATen/ops/amin.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/constant_pad_nd.h>

#include <stdexcept>

namespace longspan {

namespace {

struct Form {
  MemDtype dtype;
  const char* name;
  at::ScalarType codes;
};

constexpr Form kForms[] = {
    {MemDtype::kFloat32, "float32", at::kFloat},
    {MemDtype::kFloat16, "float16", at::kHalf},
    {MemDtype::kBFloat16, "bfloat16", at::kBFloat16},
    {MemDtype::kInt8, "int8", at::kChar},
    {MemDtype::kInt4, "int4", at::kByte},
};

const Form& form_of(MemDtype dtype) {
  for (const Form& form : kForms) {
    if (form.dtype == dtype) return form;
  }
  throw std::logic_error("a mem_dtype that is none");
}

constexpr int64_t kGroup = 32;
constexpr double kLargestInt8 = 127, kLargestInt4 = 15;
// A group of equal values has no width to divide by.
constexpr double kLeastScale = 1e-7;

int64_t group_of(int64_t head_dim) { return head_dim % kGroup == 0 ? kGroup : head_dim; }

/// [B, Hkv, T, D] -> [B, Hkv, T, D / group, group] float32.
at::Tensor in_groups(const at::Tensor& x) {
  return x.to(at::kFloat).unflatten(-1, {-1, group_of(x.size(-1))});
}

Remembered to_int8(const at::Tensor& x) {
  const at::Tensor groups = in_groups(x);
  const at::Tensor scales =
      (groups.abs().amax(-1) / kLargestInt8).clamp_min_(kLeastScale).to(at::kHalf);
  const at::Tensor codes =
      (groups / scales.to(at::kFloat).unsqueeze(-1)).round_().clamp_(-kLargestInt8, kLargestInt8);
  return {codes.to(at::kChar).flatten(3), scales, {}};
}

Remembered to_int4(const at::Tensor& x) {
  const at::Tensor groups = in_groups(x);
  const at::Tensor low = groups.amin(-1).to(at::kHalf);
  const at::Tensor above = groups - low.to(at::kFloat).unsqueeze(-1);
  const at::Tensor scales = (above.amax(-1) / kLargestInt4).clamp_min_(kLeastScale).to(at::kHalf);
  at::Tensor codes = (above / scales.to(at::kFloat).unsqueeze(-1))
                         .round_()
                         .clamp_(0, kLargestInt4)
                         .to(at::kByte)
                         .flatten(3);
  if (codes.size(-1) % 2 != 0) codes = at::constant_pad_nd(codes, {0, 1});
  const int64_t half = codes.size(-1) / 2;
  return {codes.narrow(-1, 0, half) + codes.narrow(-1, half, half) * 16, scales, low};
}

}  // namespace

std::vector<std::string> mem_dtype_names() {
  std::vector<std::string> names;
  for (const Form& form : kForms) names.emplace_back(form.name);
  return names;
}

MemDtype mem_dtype_named(const std::string& name) {
  for (const Form& form : kForms) {
    if (form.name == name) return form.dtype;
  }
  throw std::logic_error("'" + name + "' is no mem_dtype");
}

std::string name_of(MemDtype dtype) { return form_of(dtype).name; }

Remembered remember(const at::Tensor& x, MemDtype dtype) {
  if (dtype == MemDtype::kInt8) return to_int8(x);
  if (dtype == MemDtype::kInt4) return to_int4(x);
  return {x.to(form_of(dtype).codes, /*non_blocking=*/false, /*copy=*/true), {}, {}};
}

at::Tensor recall(const Remembered& remembered, int64_t head_dim, at::ScalarType dtype) {
  const at::Tensor& codes = remembered.codes;
  if (!remembered.scales.defined()) return codes.to(dtype);
  at::Tensor numbers = codes;
  if (remembered.offsets.defined()) {
    numbers =
        at::cat({codes.bitwise_and(15), codes.bitwise_right_shift(4)}, -1).narrow(-1, 0, head_dim);
  }
  at::Tensor x = numbers.to(at::kFloat).unflatten(-1, {-1, group_of(head_dim)}) *
                 remembered.scales.to(at::kFloat).unsqueeze(-1);
  if (remembered.offsets.defined()) x += remembered.offsets.to(at::kFloat).unsqueeze(-1);
  return x.flatten(3).to(dtype);
}

at::Tensor as_remembered(const at::Tensor& x, MemDtype dtype) {
  if (form_of(dtype).codes == x.scalar_type()) return x;
  return recall(remember(x, dtype), x.size(-1), x.scalar_type());
}

double remembered_bytes(MemDtype dtype, int64_t head_dim) {
  const auto dimensions = static_cast<double>(head_dim);
  const double scale = 2 * dimensions / static_cast<double>(group_of(head_dim));
  if (dtype == MemDtype::kInt8) return dimensions + scale;
  if (dtype == MemDtype::kInt4) return static_cast<double>((head_dim + 1) / 2) + 2 * scale;
  return dimensions * static_cast<double>(c10::elementSize(form_of(dtype).codes));
}

}  // namespace longspan
