#include "checkpoints/dtype.h"

#include "src/core/error.h"

namespace longspan {

namespace {

struct Dtype {
  at::ScalarType type;
  std::string_view safetensors, torch_storage;
};

constexpr Dtype kDtypes[] = {
    {at::kFloat, "F32", "torch.FloatStorage"}, {at::kBFloat16, "BF16", "torch.BFloat16Storage"},
    {at::kHalf, "F16", "torch.HalfStorage"},   {at::kDouble, "F64", "torch.DoubleStorage"},
    {at::kLong, "I64", "torch.LongStorage"},   {at::kInt, "I32", "torch.IntStorage"},
    {at::kShort, "I16", "torch.ShortStorage"}, {at::kChar, "I8", "torch.CharStorage"},
    {at::kByte, "U8", "torch.ByteStorage"},    {at::kBool, "BOOL", "torch.BoolStorage"},
};

}  // namespace

std::string_view safetensors_dtype(at::ScalarType dtype) {
  for (const auto& known : kDtypes) {
    if (known.type == dtype) return known.safetensors;
  }
  throw std::logic_error(fmt::format("no safetensors dtype for {}", c10::toString(dtype)));
}

std::optional<at::ScalarType> from_safetensors_dtype(std::string_view name) {
  for (const auto& known : kDtypes) {
    if (known.safetensors == name) return known.type;
  }
  return std::nullopt;
}

std::optional<at::ScalarType> from_torch_storage(std::string_view name) {
  for (const auto& known : kDtypes) {
    if (known.torch_storage == name) return known.type;
  }
  return std::nullopt;
}

std::string_view torch_dtype(at::ScalarType dtype) {
  switch (dtype) {
    case at::kBFloat16:
      return "bfloat16";
    case at::kHalf:
      return "float16";
    case at::kFloat:
      return "float32";
    default:
      throw std::logic_error(fmt::format("{} is no weight dtype", c10::toString(dtype)));
  }
}

at::ScalarType parse_torch_dtype(std::string_view name, std::string_view option) {
  for (at::ScalarType dtype : {at::kBFloat16, at::kHalf, at::kFloat}) {
    if (torch_dtype(dtype) == name) return dtype;
  }
  fail(ExitCode::kUsage, "{}: '{}' is no dtype; expected bfloat16, float16 or float32", option,
       name);
}

}  // namespace longspan
