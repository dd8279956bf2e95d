#pragma once

#include <string>
#include <string_view>

namespace longspan {

// What the pictures are made of; `css` names classes of chart_style().
std::string svg_text(double x, double y, std::string_view css, std::string_view anchor,
                     std::string_view content);
/// Read from below, centred on (x, y).
std::string svg_turned_text(double x, double y, std::string_view css, std::string_view content);
std::string svg_line(double x1, double y1, double x2, double y2, std::string_view css);

/// The CSS of colours and charts, for light and dark.
std::string_view chart_style();

/// A picture as a file of its own: with its style, a background and a size in pixels.
std::string svg_file(const std::string& chart, double width, double height);

}  // namespace longspan
