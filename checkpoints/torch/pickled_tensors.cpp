#include "checkpoints/torch/pickled_tensors.h"

#include <algorithm>
#include <utility>

#include "checkpoints/dtype.h"
#include "src/core/message.h"

namespace longspan {

namespace {

constexpr size_t kMostDimensions = 8;

}  // namespace

void PickledTensors::push_global(std::string_view module, std::string_view name) {
  std::string full = fmt::format("{}.{}", module, name);
  bool known = full == "collections.OrderedDict" || full == "torch._utils._rebuild_tensor_v2" ||
               full == "torch._utils._rebuild_parameter" || from_torch_storage(full);
  if (!known) {
    stack_.wrong(
        fmt::format("asks for '{}', which is no part of plain weights; nothing was run. Save the "
                    "model's state dict as safetensors",
                    full.substr(0, 200)));
  }
  stack_.push({.kind = Kind::kGlobal, .number = static_cast<int64_t>(globals_.size())});
  globals_.push_back(std::move(full));
}

/// ('storage', type, key, location, numel)
void PickledTensors::push_storage() {
  PickleValue id = stack_.pop();
  if (id.kind != Kind::kTuple || stack_.items(id).size() != 5) stack_.wrong("names no storage");
  const auto& parts = stack_.items(id);
  if (parts[0].kind != Kind::kText || parts[0].text != "storage" ||
      parts[1].kind != Kind::kGlobal || parts[2].kind != Kind::kText ||
      parts[4].kind != Kind::kNumber || parts[4].number < 0) {
    stack_.wrong("names no storage");
  }
  auto dtype = from_torch_storage(globals_[parts[1].number]);
  if (!dtype) stack_.wrong("names a storage that is none");
  stack_.push({.kind = Kind::kStorage, .number = static_cast<int64_t>(storages_.size())});
  storages_.push_back({parts[2].text, *dtype, parts[4].number});
}

void PickledTensors::reduce() {
  auto call = stack_.pop_many(2);
  if (call[0].kind != Kind::kGlobal || call[1].kind != Kind::kTuple) {
    stack_.wrong("calls nothing known");
  }
  const std::string& name = globals_[call[0].number];
  const auto& arguments = stack_.items(call[1]);
  if (name == "collections.OrderedDict" && arguments.empty()) {
    stack_.push_container(Kind::kDict, {});
  } else if (name == "torch._utils._rebuild_tensor_v2" && arguments.size() >= 6) {
    push_tensor(arguments);
  } else if (name == "torch._utils._rebuild_parameter" && arguments.size() == 3 &&
             arguments[0].kind == Kind::kTensor) {
    stack_.push(arguments[0]);
  } else {
    stack_.wrong(fmt::format("calls '{}' with other arguments than torch.save gives it", name));
  }
}

/// (storage, storage_offset, size, stride, requires_grad, backward_hooks, ...)
void PickledTensors::push_tensor(std::span<const PickleValue> arguments) {
  if (arguments[0].kind != Kind::kStorage || arguments[1].kind != Kind::kNumber) {
    stack_.wrong("makes a tensor of no storage");
  }
  const Storage& storage = storages_[arguments[0].number];
  PickledTensor tensor;
  tensor.storage = storage.key;
  tensor.dtype = storage.dtype;
  tensor.storage_numel = storage.numel;
  tensor.storage_offset = arguments[1].number;
  tensor.sizes = sizes_of(arguments[2]);
  tensor.strides = sizes_of(arguments[3]);
  check_window(tensor);
  stack_.push({.kind = Kind::kTensor, .number = static_cast<int64_t>(tensors_.size())});
  tensors_.push_back(std::move(tensor));
}

std::vector<int64_t> PickledTensors::sizes_of(const PickleValue& tuple) const {
  if (tuple.kind != Kind::kTuple) stack_.wrong("gives a tensor no shape");
  const auto& items = stack_.items(tuple);
  if (items.size() > kMostDimensions) stack_.wrong("gives a tensor too many dimensions");
  std::vector<int64_t> sizes;
  for (const auto& item : items) {
    if (item.kind != Kind::kNumber || item.number < 0) stack_.wrong("gives a tensor a wrong shape");
    sizes.push_back(item.number);
  }
  return sizes;
}

void PickledTensors::check_window(const PickledTensor& tensor) const {
  if (tensor.sizes.size() != tensor.strides.size() || tensor.storage_offset < 0) {
    stack_.wrong("gives a tensor a wrong shape");
  }
  int64_t numel = 1, last = tensor.storage_offset;
  bool overflow = false, empty = false;
  for (size_t i = 0; i < tensor.sizes.size(); ++i) {
    int64_t size = std::max<int64_t>(tensor.sizes[i], 1), span = 0;
    empty |= tensor.sizes[i] == 0;
    overflow |= __builtin_mul_overflow(numel, size, &numel);
    overflow |= __builtin_mul_overflow(size - 1, tensor.strides[i], &span);
    overflow |= __builtin_add_overflow(last, span, &last);
  }
  auto element = static_cast<int64_t>(c10::elementSize(tensor.dtype));
  int64_t bytes = 0;  // also of an empty tensor, whose other sizes nothing else limits
  overflow |= __builtin_mul_overflow(numel, element, &bytes);
  // More elements than the storage has are an expanded view: copied, it could take any memory.
  bool outside = last >= tensor.storage_numel || numel > tensor.storage_numel;
  if (overflow || (outside && !empty)) {
    stack_.wrong(fmt::format("has a tensor that leaves its storage '{}' of {} elements",
                             tensor.storage, tensor.storage_numel));
  }
}

}  // namespace longspan
