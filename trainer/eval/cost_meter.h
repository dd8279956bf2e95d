#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "src/core/json.h"

namespace longspan {

/// What the items of one arm and length took.
struct CostMeter {
  double flops = 0;      // by formula, of an item of which tokens_of_a_pass() are read
  int64_t kv_bytes = 0;  // by formula

  /// One question: the seconds from the beginning of its text to the first generated token, those
  /// of the tokens after it, and how many there are.
  void add_answer(double first_token_seconds, double decode_seconds, int64_t generated_tokens);
  /// One pass over a text of so many tokens.
  void add_pass(double seconds, int64_t tokens);
  /// On average.
  int64_t tokens_of_a_pass() const { return passes_ == 0 ? 0 : pass_tokens_ / passes_; }
  /// VmHWM of the process while an item was read.
  void add_peak(int64_t bytes) { peak_bytes_ = std::max(peak_bytes_, bytes); }

  Json write() const;

 private:
  int64_t answers_ = 0, passes_ = 0, pass_tokens_ = 0, decoded_tokens_ = 0;
  double first_token_seconds_ = 0, pass_seconds_ = 0, decode_seconds_ = 0;
  int64_t peak_bytes_ = 0;
};

/// The costs of a run by arm and length.
class CostMeters {
 public:
  /// A text that is shorter than one of these lengths, by less than half, counts as one of it; any
  /// other has its own length.
  explicit CostMeters(std::vector<int64_t> lengths) : lengths_(std::move(lengths)) {}

  CostMeter& of(const std::string& arm, int64_t length);
  /// [{arm, length, time_to_first_token_seconds, tokens_per_second, read_tokens_per_second, flops,
  /// peak_memory_bytes, kv_bytes}] in the order in which they were first asked for. Of plain texts
  /// the time to the first token is that of the pass; tokens_per_second is null where nothing was
  /// generated.
  Json write() const;

 private:
  std::vector<int64_t> lengths_;  // ascending
  std::vector<std::pair<std::string, int64_t>> order_;
  std::map<std::pair<std::string, int64_t>, CostMeter> costs_;
};

}  // namespace longspan
