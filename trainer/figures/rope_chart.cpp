#include "trainer/figures/rope_chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "trainer/figures/svg_elements.h"
#include "trainer/figures/table.h"

namespace longspan {

namespace {

constexpr double kRopeWidth = 860, kRopeHeight = 460;
constexpr double kRopeLeft = 76, kRopeTop = 44, kRight = 190, kRopeBottom = 54;
constexpr double kAfterX = kRopeWidth - kRight, kLegendX = kAfterX + 26;

constexpr RopeTableRow::Effect kEffects[] = {RopeTableRow::Effect::kKept,
                                             RopeTableRow::Effect::kBlended,
                                             RopeTableRow::Effect::kInterpolated};

std::string_view colour_of(RopeTableRow::Effect effect) {
  switch (effect) {
    case RopeTableRow::Effect::kKept:
      return "var(--series-1)";
    case RopeTableRow::Effect::kBlended:
      return "var(--series-3)";
    case RopeTableRow::Effect::kInterpolated:
      return "var(--series-2)";
  }
  return "";
}

/// Pairs and wavelengths (tokens a turn, base 2) to pixels.
struct RopeFrame {
  double pairs, low, high;

  double x(int64_t pair) const {
    return kRopeLeft + (static_cast<double>(pair) + 0.5) / pairs * (kAfterX - kRopeLeft);
  }
  double y(double wavelength) const {
    return kRopeTop +
           (high - std::log2(wavelength)) / (high - low) * (kRopeHeight - kRopeBottom - kRopeTop);
  }
};

RopeFrame fit(const RopeTable& table) {
  double largest = static_cast<double>(std::max(table.original_length, table.length));
  for (const auto& row : table.rows) largest = std::max(largest, row.wavelength);
  // The first pair's wavelength is 2 pi.
  return {static_cast<double>(table.rows.size()), 2, std::ceil(std::log2(largest) + 0.2)};
}

std::string axes(const RopeTable& table, const RopeFrame& frame) {
  std::string svg;
  double bottom = kRopeHeight - kRopeBottom;
  for (double power = frame.low; power <= frame.high; power += 2) {
    double wavelength = std::exp2(power);
    svg += svg_line(kRopeLeft, frame.y(wavelength), kAfterX, frame.y(wavelength), "grid");
    svg += svg_text(kRopeLeft - 8, frame.y(wavelength) + 4, "tick", "end",
                    length_label(std::llround(wavelength)));
  }
  auto step = std::max<int64_t>(1, (std::ssize(table.rows) + 15) / 16);
  for (int64_t pair = 0; pair < std::ssize(table.rows); pair += step) {
    svg += svg_line(frame.x(pair), bottom, frame.x(pair), bottom + 5, "axis");
    svg += svg_text(frame.x(pair), bottom + 19, "tick", "middle", fmt::format("{}", pair));
  }
  svg += svg_line(kRopeLeft, bottom, kAfterX, bottom, "axis");
  svg += svg_text((kRopeLeft + kAfterX) / 2, kRopeHeight - 10, "axis-label", "middle",
                  "pair of dimensions");
  svg += svg_turned_text(18, (kRopeTop + bottom) / 2, "axis-label", "wavelength (tokens a turn)");
  return svg;
}

/// A dashed line at a length: pairs above it turn less than once in it.
std::string limit(double y, double label_y, const std::string& label) {
  return svg_line(kRopeLeft, y, kAfterX, y, "limit") +
         svg_text(kAfterX + 8, label_y + 4, "tick", "start", label);
}

std::string marks(const RopeTable& table, const RopeFrame& frame) {
  std::string svg;
  double radius = std::clamp(0.3 * (kAfterX - kRopeLeft) / frame.pairs, 2.0, 4.5);
  for (const auto& row : table.rows) {
    double x = frame.x(row.pair), y = frame.y(row.wavelength);
    svg += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"{:.1f}\" class=\"before\"/>\n", x,
                       frame.y(row.wavelength_before), radius - 0.75);
    svg += fmt::format(
        "<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"{:.1f}\" fill=\"{}\"><title>pair {}: {}, {:.1f} "
        "to {:.1f} tokens a turn</title></circle>\n",
        x, y, radius, colour_of(row.effect), row.pair, effect_name(row.effect),
        row.wavelength_before, row.wavelength);
    if (!row.unseen_angles()) continue;
    svg += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"{:.1f}\" class=\"unseen\"/>\n", x,
                       y, radius + 3);
  }
  return svg;
}

/// One line of the legend: a mark and what it means.
std::string entry(double& y, const std::string& attributes, const std::string& text) {
  std::string svg =
      fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" {}/>\n", kLegendX, y, attributes);
  svg += svg_text(kLegendX + 12, y + 4, "legend", "start", text);
  y += 20;
  return svg;
}

std::string legend(const RopeTable& table, double y) {
  std::string svg = entry(y, "r=\"3.5\" class=\"before\"", "before scaling");
  for (auto effect : kEffects) {
    int64_t count = table.count(effect);
    if (count == 0) continue;
    svg += entry(y, fmt::format("r=\"4.5\" fill=\"{}\"", colour_of(effect)),
                 fmt::format("{} ({})", effect_name(effect), count));
  }
  if (int64_t unseen = table.unseen_angles(); unseen > 0) {
    svg += entry(y, "r=\"6.5\" class=\"unseen\"", fmt::format("unseen angles ({})", unseen));
  }
  return svg;
}

}  // namespace

std::string rope_chart_svg(const RopeTable& table, const std::string& title) {
  RopeFrame frame = fit(table);
  std::string svg =
      fmt::format("<svg class=\"chart\" viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\">\n",
                  kRopeWidth, kRopeHeight, escape_html(title));
  svg += svg_text(kRopeLeft, 24, "map-title", "start", title);
  svg += axes(table, frame);
  double original = frame.y(static_cast<double>(table.original_length));
  double length = frame.y(static_cast<double>(table.length));
  bool apart = table.length != table.original_length;
  // Two labels need a line's height between them.
  double push = apart ? std::max(0.0, (16 - std::abs(original - length)) / 2) : 0;
  double down = length < original ? push : -push;
  svg += limit(original, original + down, length_label(table.original_length) + " original");
  if (apart) svg += limit(length, length - down, length_label(table.length) + " tokens");
  svg += marks(table, frame);
  svg += legend(table, std::min(std::max(original, length) + 48, kRopeHeight - 130));
  return svg_file(svg + "</svg>\n", kRopeWidth, kRopeHeight);
}

}  // namespace longspan
