#pragma once

#include <cstdint>

namespace longspan {

/// A count, in a formula of the plan: products of counts outgrow 64 bits.
inline double real(int64_t count) { return static_cast<double>(count); }

}  // namespace longspan
