#include "src/nn/quantized_weight.h"

#include "src/core/error.h"
#include "src/nn/int8.h"
#include "src/nn/nf4.h"

namespace longspan {

namespace {

class Nf4Quantized : public QuantizedWeight {
 public:
  explicit Nf4Quantized(Nf4Weight weight) : weight_(std::move(weight)) {}

  std::array<int64_t, 2> sizes() const override { return {weight_.rows, weight_.columns}; }
  at::ScalarType dtype() const override { return weight_.dtype; }
  at::Device device() const override { return weight_.codes.device(); }
  std::shared_ptr<const QuantizedWeight> to(at::Device device) const override {
    Nf4Weight moved = weight_;
    for (at::Tensor* part : {&moved.codes, &moved.scale_codes, &moved.nested_scale}) {
      *part = part->to(device);
    }
    return std::make_shared<Nf4Quantized>(std::move(moved));
  }
  int64_t bytes() const override {
    return static_cast<int64_t>(weight_.codes.nbytes() + weight_.scale_codes.nbytes() +
                                weight_.nested_scale.nbytes());
  }
  at::Tensor dequantize(at::Tensor out) const override {
    return longspan::dequantize(weight_, std::move(out));
  }

 private:
  Nf4Weight weight_;
};

class Int8Quantized : public QuantizedWeight {
 public:
  explicit Int8Quantized(Int8Weight weight) : weight_(std::move(weight)) {}

  std::array<int64_t, 2> sizes() const override {
    return {weight_.codes.size(0), weight_.codes.size(1)};
  }
  at::ScalarType dtype() const override { return weight_.dtype; }
  at::Device device() const override { return weight_.codes.device(); }
  std::shared_ptr<const QuantizedWeight> to(at::Device device) const override {
    return std::make_shared<Int8Quantized>(
        Int8Weight{weight_.codes.to(device), weight_.scales.to(device), weight_.dtype});
  }
  int64_t bytes() const override {
    return static_cast<int64_t>(weight_.codes.nbytes() + weight_.scales.nbytes());
  }
  at::Tensor dequantize(at::Tensor out) const override {
    return longspan::dequantize(weight_, std::move(out));
  }

 private:
  Int8Weight weight_;
};

}  // namespace

std::optional<Quantization> quantization_named(std::string_view name) {
  if (name == "none") return Quantization::kNone;
  if (name == "nf4") return Quantization::kNf4;
  if (name == "int8") return Quantization::kInt8;
  return std::nullopt;
}

std::shared_ptr<const QuantizedWeight> quantize_weight(const at::Tensor& weight,
                                                       Quantization kind) {
  if (kind == Quantization::kNf4) return std::make_shared<Nf4Quantized>(quantize_nf4(weight));
  if (kind == Quantization::kInt8) return std::make_shared<Int8Quantized>(quantize_int8(weight));
  fail(ExitCode::kFailure, "quantize_weight: nothing to quantise to; expected nf4 or int8");
}

int64_t quantized_bytes(int64_t out_features, int64_t in_features, at::ScalarType dtype,
                        Quantization kind) {
  constexpr int64_t kFloat = sizeof(float);
  int64_t numel = out_features * in_features;
  if (kind == Quantization::kInt8) return numel + out_features * kFloat;
  if (kind != Quantization::kNf4) return numel * static_cast<int64_t>(c10::elementSize(dtype));
  int64_t blocks = numel / Nf4Weight::kBlock, unit = Nf4Weight::kScaleBlock;
  return numel / 2 + blocks + (blocks + unit - 1) / unit * kFloat;
}

}  // namespace longspan
