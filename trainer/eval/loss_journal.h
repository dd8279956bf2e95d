#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <string>

#include "src/core/json.h"

namespace longspan {

/// Losses that were measured, in a JSON file that is written after each one: what was asked before
/// is answered from it. A program whose questions depend on its own answers alone therefore goes on
/// after a kill with the same result as without.
class LossJournal {
 public:
  /// Reads `path` if it is there. `identity` is all that decides a loss besides the question; a
  /// file of another identity, or a damaged one, is Error(kCheckpoint) that names what differs.
  LossJournal(std::filesystem::path path, Json identity);

  double loss_of(const Json& question, const std::function<double()>& measure);
  size_t size() const { return losses_.size(); }

 private:
  void read();

  std::filesystem::path path_;
  Json identity_;
  Json entries_ = Json::array();  // {question, loss} in the order they were measured
  std::map<std::string, double> losses_;
};

}  // namespace longspan
