#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace longspan {

/// Cells of text; the first column names the rows.
struct Table {
  std::string title;
  std::vector<std::string> header{};
  std::vector<std::vector<std::string>> rows{};
};

/// For a terminal: the title, then aligned columns, the first to the left and the rest to the
/// right.
std::string text_table(const Table& table);

/// As an HTML <figure> with a <table>.
std::string html_table(const Table& table);

/// Text with & < > and quotes made safe for HTML and SVG, in elements and in attributes.
std::string escape_html(std::string_view text);

/// 4096 -> "4K", 1536 -> "1.5K", 1000 -> "1000".
std::string length_label(int64_t tokens);

/// 0.123 -> "0.12 s", 57.6 -> "58 s".
std::string seconds_label(double seconds);

}  // namespace longspan
