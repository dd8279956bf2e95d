#include "trainer/eval/tasks/key_tokens.h"

#include <algorithm>

#include "src/core/fields.h"
#include "trainer/eval/tasks/evaluated_text.h"

namespace longspan {

namespace {

Json rule_json(const KeyTokenRule& rule) {
  return {{"short", rule.short_tokens},
          {"block", rule.block},
          {"alpha", rule.alpha},
          {"beta", rule.beta}};
}

}  // namespace

std::vector<int64_t> find_key_tokens(const std::vector<int64_t>& ids, const KeyTokenRule& rule,
                                     const TargetLosses& losses) {
  const int64_t size = std::ssize(ids);
  std::vector<int64_t> places;
  if (size <= rule.short_tokens) return places;
  const std::vector<double> with_all = losses(ids, size - rule.short_tokens);
  for (int64_t begin = rule.short_tokens; begin < size; begin += rule.block) {
    const int64_t end = std::min(begin + rule.block, size);
    const std::vector<double> with_short =
        losses({ids.begin() + begin - rule.short_tokens, ids.begin() + end}, end - begin);
    for (int64_t i = begin; i < end; ++i) {
      const double nll = with_all[i - rule.short_tokens];
      if (with_short[i - begin] - nll > rule.alpha && -nll > rule.beta) places.push_back(i);
    }
  }
  return places;
}

KeyTokenFile::KeyTokenFile(std::filesystem::path path, const KeyTokenRule& rule, Json known)
    : path_(std::move(path)), rule_(rule), places_(std::move(known)) {
  if (path_.empty() || !std::filesystem::exists(path_)) return;
  const Json json = read_json_file(path_, ExitCode::kData);
  Diagnostics diagnostics(path_.string());
  Fields fields(json, diagnostics);
  Json its_rule;
  fields.required("rule", its_rule);
  fields.required("places", places_);
  if (!places_.is_object()) fields.error("places", "is not a map");
  diagnostics.throw_if_any(ExitCode::kData);
  if (its_rule != rule_json(rule_)) {
    fail(ExitCode::kUsage,
         "{}: has key tokens of the rule {}, expected {}; give another longppl.key_tokens or the "
         "same keys",
         path_.string(), its_rule.dump(), rule_json(rule_).dump());
  }
}

std::vector<int64_t> KeyTokenFile::of(const std::vector<int64_t>& ids, const TargetLosses& losses) {
  const std::string digest = ids_digest(ids);
  if (!places_.contains(digest)) {
    places_[digest] = find_key_tokens(ids, rule_, losses);
    is_new_ = true;
  }
  std::vector<int64_t> places;
  Diagnostics diagnostics(path_.string());
  Fields(places_, diagnostics, "places").required(digest, places);
  diagnostics.throw_if_any(ExitCode::kData);
  const bool is_sound = std::is_sorted(places.begin(), places.end()) &&
                        (places.empty() || (places.front() > 0 && places.back() < std::ssize(ids)));
  if (!is_sound) {
    fail(ExitCode::kData, "{}: places.{}: are not rising places of a text of {} tokens",
         path_.string(), digest, ids.size());
  }
  return places;
}

void KeyTokenFile::save() const {
  if (path_.empty() || !is_new_) return;
  write_json_file(path_, {{"rule", rule_json(rule_)}, {"places", places_}});
}

}  // namespace longspan
