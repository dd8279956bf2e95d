#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace longspan {

/// A value on a PickleStack. Small and trivially copyable: the items of a container lie with the
/// stack, so that cycles and deep nesting in a hostile pickle cost nothing.
struct PickleValue {
  enum class Kind : uint8_t {
    kMark,
    kNone,
    kNumber,
    kText,
    kGlobal,
    kTuple,
    kList,
    kDict,
    kStorage,
    kTensor
  };
  Kind kind = Kind::kNone;
  int64_t number = 0;          // of a bool or int; else the index of what it refers to
  std::string_view text = {};  // a view of the pickle
};

/// The stack that a pickle runs on, its memo, and the tuples, lists and dicts of its values. An
/// access that no writer of pickles makes throws Error(kModel) with the place.
class PickleStack {
 public:
  using Kind = PickleValue::Kind;

  explicit PickleStack(std::string place) : place_(std::move(place)) {}

  [[noreturn]] void wrong(std::string_view what) const;

  void push(PickleValue value) { values_.push_back(value); }
  void push_container(Kind kind, std::vector<PickleValue> items);
  /// Appends to the tuple, list or dict on top.
  void extend_top(Kind kind, const std::vector<PickleValue>& items);
  PickleValue pop();
  /// In the order in which they were pushed.
  std::vector<PickleValue> pop_many(size_t count);
  std::vector<PickleValue> pop_to_mark();

  /// The items of a tuple or list; of a dict its key, value, key, value...
  const std::vector<PickleValue>& items(const PickleValue& container) const {
    return containers_[container.number];
  }

  void memoize(uint64_t key);
  /// Under the next free key, as the opcode MEMOIZE does.
  void memoize() { memoize(memo_.size()); }
  void push_memo(uint64_t key);

 private:
  std::string place_;
  std::vector<PickleValue> values_;
  std::map<uint64_t, PickleValue> memo_;
  std::deque<std::vector<PickleValue>> containers_;
};

}  // namespace longspan
