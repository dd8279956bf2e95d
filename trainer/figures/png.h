#pragma once

#include <filesystem>
#include <string>

namespace longspan {

/// Draws the file of svg_file() as a PNG, `scale` pixels for each of its own, in the light colours.
/// Throws Error(kFailure) with the path for what cannot be drawn or written.
void write_png(const std::filesystem::path& path, const std::string& svg, double scale = 2);

/// The same SVG without CSS variables, which most programs but browsers do not know: each var(--x)
/// becomes what the style's first block says.
std::string without_css_variables(const std::string& svg);

}  // namespace longspan
