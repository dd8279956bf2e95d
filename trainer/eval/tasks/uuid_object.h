#pragma once

#include <string>
#include <vector>

#include "trainer/eval/tasks/draw.h"
#include "trainer/eval/tasks/haystack.h"

namespace longspan {

/// "key": "value".
std::string json_pair(const std::string& key, const std::string& value);

/// JSON objects of UUIDs that grow: the same hay each time one is made.
class UuidObject {
 public:
  /// `draw` must outlive it.
  explicit UuidObject(Draw& draw) : draw_(draw) {}

  /// {"k": "v",
  ///  "k": "v"} as Lost in the Middle lays it out: `pairs` of hay with `hidden` among them.
  Stack make(int64_t pairs, const std::vector<Hidden>& hidden);

 private:
  Draw& draw_;
  std::vector<std::string> hay_;
};

}  // namespace longspan
