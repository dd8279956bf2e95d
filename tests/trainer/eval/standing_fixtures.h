#pragma once

#include "trainer/eval/standing.h"

namespace longspan {

inline Json passkey_row(const std::string& arm, int64_t length, double depth, int64_t correct) {
  return {{"arm", arm},
          {"length", length},
          {"depth", depth},
          {"n", 20},
          {"trials", 20},
          {"correct", correct},
          {"score", static_cast<double>(correct) / 20},
          {"answer_nll", 0.5},
          {"answer_token_accuracy", 0.5}};
}

inline Json arm_cost(const std::string& arm, int64_t length, double seconds) {
  return {{"arm", arm},    {"length", length},         {"time_to_first_token_seconds", seconds},
          {"flops", 1e12}, {"peak_memory_bytes", 1e9}, {"kv_bytes", 1e6}};
}

/// full finds nearly all and takes long, retrieval finds as many, no_context none.
inline EvalResult three_arms() {
  EvalResult result;
  result.label = "base";
  TaskResult passkey{.task = "passkey", .protocol = {{"seed", 0}}};
  result.provenance["arms"] = Json::array();
  for (int64_t length : {4096, 8192}) {
    for (double depth : {0.0, 1.0}) {
      passkey.rows.push_back(passkey_row("full", length, depth, 19));
      passkey.rows.push_back(passkey_row("retrieval", length, depth, 18));
      passkey.rows.push_back(passkey_row("no_context", length, depth, 0));
    }
    const double long_text = static_cast<double>(length) / 4096;
    result.provenance["arms"].push_back(arm_cost("full", length, 8 * long_text * long_text));
    result.provenance["arms"].push_back(arm_cost("retrieval", length, 2));
    result.provenance["arms"].push_back(arm_cost("no_context", length, 0.1));
  }
  result.tasks.push_back(passkey);
  return result;
}

inline TaskStandings standings_of(const EvalResult& result) {
  return longspan::standings_of({result}, compare({result})).at(0);
}

}  // namespace longspan
