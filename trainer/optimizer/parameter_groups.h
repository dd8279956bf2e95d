#pragma once

#include <optional>
#include <string>
#include <vector>

#include "src/core/fields_io.h"

namespace longspan {

/// A learning rate and weight decay of their own for the weights whose names the pattern is found
/// in.
struct ParameterGroup {
  std::string pattern = {};       // a regular expression; "norm" is found in every norm's name
  std::optional<double> lr = {};  // the peak; none: that of all
  std::optional<double> weight_decay = {};  // of every weight in the group; none: as without it
};

/// The keys of an entry of `optimizer.groups`.
void fields(FieldsIo& io, ParameterGroup& group);

/// The first group whose pattern is found in the name of a weight, or null.
const ParameterGroup* group_of(const std::vector<ParameterGroup>& groups, const std::string& name);

/// The numbers of the groups that hold none of these weights.
std::vector<size_t> groups_without_weights(const std::vector<ParameterGroup>& groups,
                                           const std::vector<std::string>& names);

}  // namespace longspan
