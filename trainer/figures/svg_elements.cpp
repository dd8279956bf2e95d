#include "trainer/figures/svg_elements.h"

#include <fmt/format.h>

#include <regex>

#include "trainer/figures/table.h"

namespace longspan {

namespace {

constexpr std::string_view kChartStyle = R"css(
:root {
  color-scheme: light dark;
  --paper: #fcfcfb; --ink: #1b1b1a; --quiet: #62615d; --rule: #e2e1dc; --heat: #256abf;
  --series-1: #2a78d6; --series-2: #d95926; --series-3: #1a9b6c; --series-4: #b97e00;
  --series-5: #c2528b; --series-6: #4a3aa7; --series-7: #5f7d1e; --series-8: #c43434;
}
@media screen and (prefers-color-scheme: dark) {
  :root {
    --paper: #1a1a19; --ink: #ececea; --quiet: #a5a49e; --rule: #383835; --heat: #3987e5;
    --series-1: #5598e7; --series-2: #e8804f; --series-3: #35b888; --series-4: #d6a02c;
    --series-5: #dd7cab; --series-6: #9085e9; --series-7: #94b24c; --series-8: #e66767;
  }
}
svg text { fill: var(--ink); font: 13px system-ui, sans-serif; }
svg .tick, svg .axis-label { fill: var(--quiet); font-size: 12px; }
.paper { fill: var(--paper); }
svg .map-title { font-weight: 600; }
.grid { stroke: var(--rule); stroke-width: 1; }
.axis { stroke: var(--quiet); stroke-width: 1; }
.limit { stroke: var(--ink); stroke-width: 1; stroke-dasharray: 5 4; }
.before { fill: none; stroke: var(--quiet); stroke-width: 1.5; }
.unseen { fill: none; stroke: var(--series-8); stroke-width: 1.5; }
.curve { fill: none; stroke-width: 2; stroke-linejoin: round; }
.mark { stroke: var(--paper); stroke-width: 1.5; }
.band { fill-opacity: 0.1; }
.leader { stroke-width: 1.5; }
.cell { fill: var(--heat); stroke: var(--rule); }
svg .cell-text { font-size: 12px; }
svg .cell-text.full { fill: #fff; }
)css";

}  // namespace

std::string svg_text(double x, double y, std::string_view css, std::string_view anchor,
                     std::string_view content) {
  return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" class=\"{}\" text-anchor=\"{}\">{}</text>\n",
                     x, y, css, anchor, escape_html(content));
}

std::string svg_turned_text(double x, double y, std::string_view css, std::string_view content) {
  return fmt::format(
      "<text transform=\"translate({:.1f} {:.1f}) rotate(-90)\" class=\"{}\" "
      "text-anchor=\"middle\">{}</text>\n",
      x, y, css, escape_html(content));
}

std::string svg_line(double x1, double y1, double x2, double y2, std::string_view css) {
  return fmt::format(
      "<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" class=\"{}\"/>\n", x1, y1, x2,
      y2, css);
}

std::string_view chart_style() { return kChartStyle; }

std::string svg_file(const std::string& chart, double width, double height) {
  constexpr std::string_view kOpening = "<svg ";
  std::string svg = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{}\" height=\"{}\" ", width, height);
  const size_t end = chart.find('>') + 1;
  static const std::regex kSize(R"( (width|height)="[^"]*")");  // of a chart beside others
  svg += std::regex_replace(chart.substr(kOpening.size(), end - kOpening.size()), kSize, "");
  return svg +
         fmt::format("\n<style>{}</style>\n<rect width=\"{}\" height=\"{}\" class=\"paper\"/>",
                     kChartStyle, width, height) +
         chart.substr(end);
}

}  // namespace longspan
