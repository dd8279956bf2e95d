#include "checkpoints/torch/unpickler.h"

#include <algorithm>
#include <cstring>
#include <set>

#include "checkpoints/tensor_names.h"
#include "checkpoints/torch/pickle_stack.h"
#include "src/core/error.h"

namespace longspan {

namespace {

// A 70B model's takes 0.2 MB. Five bytes of a hostile one make a tensor of some 300.
constexpr size_t kLargestPickle = 16 << 20;

using Value = PickleValue;
using Kind = PickleValue::Kind;

/// One pass over one pickle.
class Unpickler {
 public:
  Unpickler(std::string_view pickle, const std::string& place)
      : rest_(pickle), stack_(place), pickled_(stack_) {}

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
      tensors.push_back(pickled_.tensor(value));
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

  std::string_view rest_;
  PickleStack stack_;
  PickledTensors pickled_;
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
      pickled_.push_global(module, take_line());
      return true;
    }
    case 0x93: {  // STACK_GLOBAL
      auto names = stack_.pop_many(2);
      if (names[0].kind != Kind::kText || names[1].kind != Kind::kText) wrong("names no global");
      pickled_.push_global(names[0].text, names[1].text);
      return true;
    }
    case 'Q':  // BINPERSID
      pickled_.push_storage();
      return true;
    case 'R':  // REDUCE
      pickled_.reduce();
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

}  // namespace

std::vector<PickledTensor> unpickle_state_dict(std::string_view pickle, const std::string& place) {
  if (pickle.size() > kLargestPickle) {
    fail(ExitCode::kModel, "{}: the pickle takes {} bytes; a state dict's takes few", place,
         pickle.size());
  }
  return Unpickler(pickle, place).run();
}

}  // namespace longspan
