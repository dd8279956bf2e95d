#include "checkpoints/torch/unpickler.h"

#include <algorithm>
#include <cstring>
#include <set>
#include <span>

#include "checkpoints/dtype.h"
#include "checkpoints/tensor_names.h"
#include "checkpoints/torch/pickle_stack.h"
#include "src/core/error.h"

namespace longspan {

namespace {

// A 70B model's takes 0.2 MB. Five bytes of a hostile one make a tensor of some 300.
constexpr size_t kLargestPickle = 16 << 20;
constexpr size_t kMostDimensions = 8;

using Value = PickleValue;
using Kind = PickleValue::Kind;

struct Storage {
  std::string_view key;
  at::ScalarType dtype;
  int64_t numel;
};

/// One pass over one pickle.
class Unpickler {
 public:
  Unpickler(std::string_view pickle, const std::string& place)
      : rest_(pickle), place_(place), stack_(place) {}

  std::vector<PickledTensor> run() {
    while (step()) {
    }
    Value top = stack_.pop();
    if (top.kind != Kind::kDict) wrong("holds no state dict");
    const auto& items = stack_.items(top);
    std::vector<PickledTensor> tensors;
    std::set<std::string_view> names;
    for (size_t i = 0; i + 1 < items.size(); i += 2) {
      const Value &name = items[i], &value = items[i + 1];
      if (name.kind != Kind::kText) wrong("has a key that is no text");
      if (std::any_of(name.text.begin(), name.text.end(), is_control)) {
        wrong("has a key with unprintable letters");
      }
      if (value.kind != Kind::kTensor) {
        wrong(
            fmt::format("holds something other than a tensor under '{}'; expected a state dict "
                        "of the model's weights alone",
                        name.text));
      }
      if (!names.insert(name.text).second) wrong(fmt::format("has '{}' twice", name.text));
      tensors.push_back(tensors_[value.number]);
      tensors.back().name = name.text;
    }
    return tensors;
  }

 private:
  [[noreturn]] void wrong(std::string_view what) const { stack_.wrong(what); }

  std::string_view take(uint64_t count) {
    if (count > rest_.size()) wrong("is truncated");
    std::string_view taken = rest_.substr(0, count);
    rest_.remove_prefix(count);
    return taken;
  }
  /// Little-endian, of 1 to 8 bytes.
  uint64_t take_number(size_t bytes) {
    uint64_t value = 0;
    std::memcpy(&value, take(bytes).data(), bytes);
    return value;
  }
  std::string_view take_line() {
    size_t end = rest_.find('\n');
    if (end == rest_.npos) wrong("is truncated");
    std::string_view line = take(end);
    take(1);
    return line;
  }

  void push(Kind kind, int64_t number = 0, std::string_view text = {}) {
    stack_.push({kind, number, text});
  }

  bool step();
  bool literal(uint8_t opcode);
  bool container(uint8_t opcode);
  bool memo(uint8_t opcode);
  void fill_dict(const std::vector<Value>& items);
  void global(std::string_view module, std::string_view name);
  void persistent_id();
  void reduce();
  void rebuild_tensor(std::span<const Value> arguments);
  std::vector<int64_t> sizes_of(const Value& tuple) const;
  void check_window(const PickledTensor& tensor) const;

  std::string_view rest_;
  const std::string& place_;
  PickleStack stack_;
  std::vector<std::string> globals_;
  std::vector<Storage> storages_;
  std::vector<PickledTensor> tensors_;
};

/// False at STOP.
bool Unpickler::step() {
  auto opcode = static_cast<uint8_t>(take(1)[0]);
  if (literal(opcode) || container(opcode) || memo(opcode)) return true;
  switch (opcode) {
    case 0x80:  // PROTO
      take(1);
      return true;
    case 0x95:  // FRAME
      take(8);
      return true;
    case 'c': {  // GLOBAL
      std::string_view module = take_line();
      global(module, take_line());
      return true;
    }
    case 0x93: {  // STACK_GLOBAL
      auto names = stack_.pop_many(2);
      if (names[0].kind != Kind::kText || names[1].kind != Kind::kText) wrong("names no global");
      global(names[0].text, names[1].text);
      return true;
    }
    case 'Q':  // BINPERSID
      persistent_id();
      return true;
    case 'R':  // REDUCE
      reduce();
      return true;
    case 'b':  // BUILD: an OrderedDict's _metadata, which says nothing of the weights
      stack_.pop();
      stack_.extend_top(Kind::kDict, {});
      return true;
    case '.':  // STOP
      return false;
    default:
      wrong(fmt::format("uses opcode 0x{:02x}, which no state dict needs; it is not run", opcode));
  }
}

bool Unpickler::literal(uint8_t opcode) {
  switch (opcode) {
    case 'N':
      push(Kind::kNone);
      return true;
    case 0x88:  // NEWTRUE
    case 0x89:  // NEWFALSE
      push(Kind::kNumber, opcode == 0x88);
      return true;
    case 'K':
      push(Kind::kNumber, static_cast<int64_t>(take_number(1)));
      return true;
    case 'M':
      push(Kind::kNumber, static_cast<int64_t>(take_number(2)));
      return true;
    case 'J':
      push(Kind::kNumber, static_cast<int32_t>(take_number(4)));
      return true;
    case 0x8a: {  // LONG1: sign-extended
      size_t bytes = take_number(1);
      if (bytes > 8) wrong("holds a number of more than 8 bytes");
      uint64_t value = bytes == 0 ? 0 : take_number(bytes);
      int unused = 64 - 8 * static_cast<int>(bytes);
      push(Kind::kNumber, bytes == 0 ? 0 : static_cast<int64_t>(value << unused) >> unused);
      return true;
    }
    case 'X':  // BINUNICODE, SHORT_BINUNICODE
    case 0x8c:
      push(Kind::kText, 0, take(take_number(opcode == 'X' ? 4 : 1)));
      return true;
    default:
      return false;
  }
}

bool Unpickler::container(uint8_t opcode) {
  switch (opcode) {
    case '(':
      push(Kind::kMark);
      return true;
    case ')':
      stack_.push_container(Kind::kTuple, {});
      return true;
    case 't':
      stack_.push_container(Kind::kTuple, stack_.pop_to_mark());
      return true;
    case 0x85:  // TUPLE1, TUPLE2, TUPLE3
    case 0x86:
    case 0x87:
      stack_.push_container(Kind::kTuple, stack_.pop_many(opcode - 0x84));
      return true;
    case ']':
      stack_.push_container(Kind::kList, {});
      return true;
    case '}':
      stack_.push_container(Kind::kDict, {});
      return true;
    case 'a':  // APPEND, APPENDS
    case 'e':
      stack_.extend_top(Kind::kList, opcode == 'a' ? stack_.pop_many(1) : stack_.pop_to_mark());
      return true;
    case 's':  // SETITEM, SETITEMS
    case 'u':
      fill_dict(opcode == 's' ? stack_.pop_many(2) : stack_.pop_to_mark());
      return true;
    default:
      return false;
  }
}

void Unpickler::fill_dict(const std::vector<Value>& items) {
  if (items.size() % 2 != 0) wrong("has a key without a value");
  stack_.extend_top(Kind::kDict, items);
}

bool Unpickler::memo(uint8_t opcode) {
  switch (opcode) {
    case 'q':  // BINPUT, LONG_BINPUT
    case 'r':
      stack_.memoize(take_number(opcode == 'q' ? 1 : 4));
      return true;
    case 0x94:  // MEMOIZE
      stack_.memoize();
      return true;
    case 'h':  // BINGET, LONG_BINGET
    case 'j':
      stack_.push_memo(take_number(opcode == 'h' ? 1 : 4));
      return true;
    default:
      return false;
  }
}

void Unpickler::global(std::string_view module, std::string_view name) {
  std::string full = fmt::format("{}.{}", module, name);
  bool known = full == "collections.OrderedDict" || full == "torch._utils._rebuild_tensor_v2" ||
               full == "torch._utils._rebuild_parameter" || from_torch_storage(full);
  if (!known) {
    fail(ExitCode::kModel,
         "{}: asks for '{}', which is no part of plain weights; nothing was run. Save the "
         "model's state dict as safetensors",
         place_, full.substr(0, 200));
  }
  push(Kind::kGlobal, static_cast<int64_t>(globals_.size()));
  globals_.push_back(std::move(full));
}

/// ('storage', type, key, location, numel)
void Unpickler::persistent_id() {
  Value id = stack_.pop();
  if (id.kind != Kind::kTuple || stack_.items(id).size() != 5) wrong("names no storage");
  const auto& parts = stack_.items(id);
  if (parts[0].kind != Kind::kText || parts[0].text != "storage" ||
      parts[1].kind != Kind::kGlobal || parts[2].kind != Kind::kText ||
      parts[4].kind != Kind::kNumber || parts[4].number < 0) {
    wrong("names no storage");
  }
  auto dtype = from_torch_storage(globals_[parts[1].number]);
  if (!dtype) wrong("names a storage that is none");
  push(Kind::kStorage, static_cast<int64_t>(storages_.size()));
  storages_.push_back({parts[2].text, *dtype, parts[4].number});
}

void Unpickler::reduce() {
  auto call = stack_.pop_many(2);
  if (call[0].kind != Kind::kGlobal || call[1].kind != Kind::kTuple) wrong("calls nothing known");
  const std::string& name = globals_[call[0].number];
  const auto& arguments = stack_.items(call[1]);
  if (name == "collections.OrderedDict" && arguments.empty()) {
    stack_.push_container(Kind::kDict, {});
  } else if (name == "torch._utils._rebuild_tensor_v2" && arguments.size() >= 6) {
    rebuild_tensor(arguments);
  } else if (name == "torch._utils._rebuild_parameter" && arguments.size() == 3 &&
             arguments[0].kind == Kind::kTensor) {
    stack_.push(arguments[0]);
  } else {
    wrong(fmt::format("calls '{}' with other arguments than torch.save gives it", name));
  }
}

/// (storage, storage_offset, size, stride, requires_grad, backward_hooks, ...)
void Unpickler::rebuild_tensor(std::span<const Value> arguments) {
  if (arguments[0].kind != Kind::kStorage || arguments[1].kind != Kind::kNumber) {
    wrong("makes a tensor of no storage");
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
  push(Kind::kTensor, static_cast<int64_t>(tensors_.size()));
  tensors_.push_back(std::move(tensor));
}

std::vector<int64_t> Unpickler::sizes_of(const Value& tuple) const {
  if (tuple.kind != Kind::kTuple) wrong("gives a tensor no shape");
  const auto& items = stack_.items(tuple);
  if (items.size() > kMostDimensions) wrong("gives a tensor too many dimensions");
  std::vector<int64_t> sizes;
  for (const auto& item : items) {
    if (item.kind != Kind::kNumber || item.number < 0) wrong("gives a tensor a wrong shape");
    sizes.push_back(item.number);
  }
  return sizes;
}

void Unpickler::check_window(const PickledTensor& tensor) const {
  if (tensor.sizes.size() != tensor.strides.size() || tensor.storage_offset < 0) {
    wrong("gives a tensor a wrong shape");
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
    wrong(fmt::format("has a tensor that leaves its storage '{}' of {} elements", tensor.storage,
                      tensor.storage_numel));
  }
}

}  // namespace

std::vector<PickledTensor> unpickle_state_dict(std::string_view pickle, const std::string& place) {
  if (pickle.size() > kLargestPickle) {
    fail(ExitCode::kModel, "{}: the pickle takes {} bytes; a state dict's takes few", place,
         pickle.size());
  }
  return Unpickler(pickle, place).run();
}

}  // namespace longspan
