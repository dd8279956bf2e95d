#include "checkpoints/mapped_weights.h"

#include "checkpoints/dtype.h"
#include "src/core/error.h"
#include "src/model/decoder.h"

namespace longspan {

bool can_be_mapped(const ModelSource& source, at::ScalarType dtype) {
  for (const auto& info : source.tensors()) {
    if (!info.name.starts_with("model.layers.0.") || info.shape.size() != 2) continue;
    if (info.dtype != safetensors_dtype(dtype) || !mapped_bytes(source.tensor(info.name))) {
      return false;
    }
  }
  return true;
}

MappedWeights::MappedWeights(CausalLm& model)
    : layers_(static_cast<size_t>(model.config().num_hidden_layers)) {
  model.visit_linears([&](const std::string& name, std::unique_ptr<Linear>& linear) {
    const at::Tensor& weight = linear->weight;
    if (!weight.defined() || weight.requires_grad()) return;
    if (!weight.is_cpu()) {
      fail(ExitCode::kRecipe,
           "memory.weights: 'mapped' is for the CPU, which reads a file where it lies; expected "
           "resident with --device cuda");
    }
    auto bytes = mapped_bytes(weight);
    if (!bytes) {
      fail(ExitCode::kModel,
           "'{}.weight' cannot be mapped: its file does not hold it as {}; convert the model to "
           "that dtype first (longspan convert), or take memory.weights: resident",
           name, c10::toString(weight.scalar_type()));
    }
    layers_[static_cast<size_t>(layer_of(name))].push_back(std::move(*bytes));
  });
}

void MappedWeights::will_use(size_t layer) {
  const size_t top = layers_.size() - 1;
  if (last_ && *last_ == layer) {
    up_ = layer != top;  // the turn
  } else {
    up_ = !last_ || *last_ != layer + 1;
    if (last_ && *last_ != layer + 1 && *last_ + 1 != layer) drop(*last_);
  }
  last_ = layer;
  if (up_ && layer < top) read_ahead(layer + 1);
  if (!up_ && layer > 0) read_ahead(layer - 1);
}

void MappedWeights::used(size_t layer) {
  const bool turns = layer == (up_ ? layers_.size() - 1 : 0);
  if (!turns) drop(layer);
}

int64_t MappedWeights::bytes() const {
  int64_t sum = 0;
  for (const auto& layer : layers_) {
    for (const auto& bytes : layer) sum += bytes.size;
  }
  return sum;
}

void MappedWeights::read_ahead(size_t layer) {
  reading_ = std::async(std::launch::async, [this, layer] {
    for (const auto& bytes : layers_[layer]) bytes.will_need();
  });
}

void MappedWeights::drop(size_t layer) const {
  for (const auto& bytes : layers_[layer]) bytes.forget();
}

}  // namespace longspan
