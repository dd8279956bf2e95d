#pragma once

namespace longspan {

constexpr float kLog2E = 1.44269504088896f;
constexpr float kLn2 = 0.693147180559945f;

}  // namespace longspan
