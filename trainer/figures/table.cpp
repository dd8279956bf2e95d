#include "trainer/figures/table.h"

#include <fmt/format.h>

#include <algorithm>

namespace longspan {

namespace {

/// Code points, which is columns for the text of our tables.
size_t width_of(std::string_view text) {
  return std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; });
}

std::string html_row(const std::vector<std::string>& cells, std::string_view tag) {
  std::string row = "<tr>";
  for (size_t i = 0; i < cells.size(); ++i) {
    std::string_view element = i == 0 ? "th" : tag;
    row += fmt::format("<{0}>{1}</{0}>", element, escape_html(cells[i]));
  }
  return row + "</tr>\n";
}

}  // namespace

std::string escape_html(std::string_view text) {
  std::string escaped;
  for (char c : text) {
    switch (c) {
      case '&':
        escaped += "&amp;";
        break;
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      case '\'':
        escaped += "&#39;";
        break;
      default:
        escaped += c;
    }
  }
  return escaped;
}

std::string length_label(int64_t tokens) {
  if (tokens % 1024 == 0) return fmt::format("{}K", tokens / 1024);
  if (tokens > 1024 && tokens % 256 == 0) {
    return fmt::format("{}K", static_cast<double>(tokens) / 1024);
  }
  return fmt::format("{}", tokens);
}

std::string seconds_label(double seconds) {
  return seconds < 10 ? fmt::format("{:.2g} s", seconds) : fmt::format("{:.0f} s", seconds);
}

std::string text_table(const Table& table) {
  std::vector<size_t> widths(table.header.size(), 0);
  auto widen = [&](const std::vector<std::string>& cells) {
    for (size_t i = 0; i < cells.size(); ++i) widths[i] = std::max(widths[i], width_of(cells[i]));
  };
  widen(table.header);
  for (const auto& row : table.rows) widen(row);

  std::string text = table.title + "\n";
  auto append = [&](const std::vector<std::string>& cells) {
    std::string line = "  ";
    for (size_t i = 0; i < cells.size(); ++i) {
      std::string space(widths[i] - width_of(cells[i]), ' ');
      line += i == 0 ? cells[i] + space : fmt::format("   {}{}", space, cells[i]);
    }
    text += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
  };
  append(table.header);
  for (const auto& row : table.rows) append(row);
  return text;
}

std::string html_table(const Table& table) {
  std::string html = fmt::format(
      "<figure class=\"table\"><figcaption>{}</figcaption>\n<table>\n<thead>{}</thead>\n<tbody>\n",
      escape_html(table.title), html_row(table.header, "th"));
  for (const auto& row : table.rows) html += html_row(row, "td");
  return html + "</tbody>\n</table></figure>\n";
}

}  // namespace longspan
