#include "trainer/optimizer/parameter_groups.h"

#include <algorithm>

#include "src/core/full_match.h"

namespace longspan {

namespace {

bool is_found(const std::string& pattern, const std::string& name) {
  return full_match(".*(" + pattern + ").*", name, "optimizer.groups");
}

void check_pattern(FieldsIo& io, const std::string& pattern) {
  try {
    is_found(pattern, "");
  } catch (const Error& malformed) {
    io.error("pattern", malformed.what());
  }
}

}  // namespace

void fields(FieldsIo& io, ParameterGroup& group) {
  io.text("pattern", group.pattern, "a regular expression, found anywhere in a weight's name",
          {.required = true});
  io.positive("lr", group.lr, "in place of `lr`, scaled by `lr_schedule` too",
              {.otherwise = "`lr`", .written = group.lr.has_value()});
  io.number("weight_decay", group.weight_decay, {0, 1e6},
            "in place of `weight_decay`, of norms, biases and embeddings too",
            {.otherwise = "`weight_decay`", .written = group.weight_decay.has_value()});
  io.require_one_of({"lr", "weight_decay"});
  if (!io.reading() || group.pattern.empty()) return;
  check_pattern(io, group.pattern);
  if (!io.given("lr") && !io.given("weight_decay")) {
    io.error("pattern", "the group changes nothing; give lr or weight_decay");
  }
}

const ParameterGroup* group_of(const std::vector<ParameterGroup>& groups, const std::string& name) {
  const auto found = std::find_if(groups.begin(), groups.end(),
                                  [&](const auto& group) { return is_found(group.pattern, name); });
  return found == groups.end() ? nullptr : &*found;
}

std::vector<size_t> groups_without_weights(const std::vector<ParameterGroup>& groups,
                                           const std::vector<std::string>& names) {
  std::vector<bool> has_weights(groups.size());
  for (const auto& name : names) {
    const ParameterGroup* group = group_of(groups, name);
    if (group) has_weights[static_cast<size_t>(group - groups.data())] = true;
  }
  std::vector<size_t> without;
  for (size_t i = 0; i < groups.size(); ++i) {
    if (!has_weights[i]) without.push_back(i);
  }
  return without;
}

}  // namespace longspan
