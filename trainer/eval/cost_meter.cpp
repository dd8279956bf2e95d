#include "trainer/eval/cost_meter.h"

namespace longspan {

namespace {

Json per(double value, double seconds) { return seconds > 0 ? Json(value / seconds) : Json(); }

}  // namespace

void CostMeter::add_answer(double first_token_seconds, double decode_seconds,
                           int64_t generated_tokens) {
  ++answers_;
  first_token_seconds_ += first_token_seconds;
  decode_seconds_ += decode_seconds;
  decoded_tokens_ += std::max<int64_t>(0, generated_tokens - 1);
}

void CostMeter::add_pass(double seconds, int64_t tokens) {
  ++passes_;
  pass_seconds_ += seconds;
  pass_tokens_ += tokens;
}

Json CostMeter::write() const {
  const double first = answers_ > 0  ? first_token_seconds_ / static_cast<double>(answers_)
                       : passes_ > 0 ? pass_seconds_ / static_cast<double>(passes_)
                                     : 0;
  return {{"time_to_first_token_seconds", first},
          {"tokens_per_second", per(static_cast<double>(decoded_tokens_), decode_seconds_)},
          {"read_tokens_per_second", per(static_cast<double>(pass_tokens_), pass_seconds_)},
          {"flops", flops},
          {"peak_memory_bytes", peak_bytes_},
          {"kv_bytes", kv_bytes}};
}

CostMeter& CostMeters::of(const std::string& arm, int64_t length) {
  const auto longer = std::ranges::lower_bound(lengths_, length);
  if (longer != lengths_.end() && 2 * length > *longer) length = *longer;
  const auto [entry, is_new] = costs_.try_emplace({arm, length});
  if (is_new) order_.emplace_back(arm, length);
  return entry->second;
}

Json CostMeters::write() const {
  Json list = Json::array();
  for (const auto& key : order_) {
    Json entry = {{"arm", key.first}, {"length", key.second}};
    entry.update(costs_.at(key).write());
    list.push_back(std::move(entry));
  }
  return list;
}

}  // namespace longspan
