#include "trainer/eval/tasks/uuid_object.h"

#include <fmt/format.h>

namespace longspan {

std::string json_pair(const std::string& key, const std::string& value) {
  return fmt::format("\"{}\": \"{}\"", key, value);
}

Stack UuidObject::make(int64_t pairs, const std::vector<Hidden>& hidden) {
  const Haystack hay{.unit =
                         [this](int64_t index) {
                           while (std::ssize(hay_) <= index) {
                             const std::string key = draw_.uuid();
                             hay_.push_back(json_pair(key, draw_.uuid()));
                           }
                           return hay_[index];
                         },
                     .joiner = ",\n "};
  Stack stack = hide(hay, pairs, hidden);
  stack.text = "{" + stack.text + "}";
  for (auto& span : stack.spans) {
    ++span.begin;
    ++span.end;
  }
  return stack;
}

}  // namespace longspan
