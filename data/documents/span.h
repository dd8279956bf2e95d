#pragma once

#include <cstddef>

namespace longspan {

/// Bytes [begin, end) of a text.
struct Span {
  size_t begin = 0, end = 0;
};

}  // namespace longspan
