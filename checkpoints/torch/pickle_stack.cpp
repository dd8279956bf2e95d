#include "checkpoints/torch/pickle_stack.h"

#include "src/core/error.h"

namespace longspan {

void PickleStack::wrong(std::string_view what) const {
  fail(ExitCode::kModel, "{}: the pickle {}", place_, what);
}

void PickleStack::push_container(Kind kind, std::vector<PickleValue> items) {
  push({.kind = kind, .number = static_cast<int64_t>(containers_.size())});
  containers_.push_back(std::move(items));
}

void PickleStack::extend_top(Kind kind, const std::vector<PickleValue>& items) {
  if (values_.empty() || values_.back().kind != kind) wrong("fills something that is no container");
  auto& all = containers_[values_.back().number];
  all.insert(all.end(), items.begin(), items.end());
}

PickleValue PickleStack::pop() {
  if (values_.empty() || values_.back().kind == Kind::kMark) wrong("takes from an empty stack");
  PickleValue value = values_.back();
  values_.pop_back();
  return value;
}

std::vector<PickleValue> PickleStack::pop_many(size_t count) {
  std::vector<PickleValue> values(count);
  for (size_t i = count; i-- > 0;) values[i] = pop();
  return values;
}

std::vector<PickleValue> PickleStack::pop_to_mark() {
  size_t mark = values_.size();
  while (mark > 0 && values_[mark - 1].kind != Kind::kMark) --mark;
  if (mark == 0) wrong("lacks a mark");
  std::vector<PickleValue> values(values_.begin() + static_cast<int64_t>(mark), values_.end());
  values_.resize(mark - 1);
  return values;
}

void PickleStack::memoize(uint64_t key) {
  if (values_.empty()) wrong("takes from an empty stack");
  memo_[key] = values_.back();
}

void PickleStack::push_memo(uint64_t key) {
  auto found = memo_.find(key);
  if (found == memo_.end()) wrong("reads what it has not stored");
  push(found->second);
}

}  // namespace longspan
