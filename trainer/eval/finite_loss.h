#pragma once

#include <string_view>
#include <vector>

namespace longspan {

/// Throws Error(kNonFinite) that names the task for a loss that is not finite; `where` says which
/// it is: "at length 4096".
void require_finite(double loss, std::string_view task, std::string_view where);
void require_finite(const std::vector<double>& losses, std::string_view task,
                    std::string_view where);

}  // namespace longspan
