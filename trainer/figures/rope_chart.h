#pragma once

#include <string>

#include "src/rope/rope_table.h"

namespace longspan {

/// The wavelength of each pair of dimensions before and after scaling, on a logarithmic axis with
/// both lengths; pairs that meet unseen angles are ringed. An SVG file of its own.
std::string rope_chart_svg(const RopeTable& table, const std::string& title);

}  // namespace longspan
