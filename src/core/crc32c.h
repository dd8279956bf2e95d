#pragma once

#include <cstddef>
#include <cstdint>

namespace longspan {

/// CRC-32C (Castagnoli; RFC 3720, appendix B.4), by the instruction of SSE 4.2 where there is one.
uint32_t crc32c(const void* data, size_t size);

}  // namespace longspan
