#include "src/core/text.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <numeric>

namespace longspan {

namespace {

/// Insertions, deletions, substitutions and swaps of neighbours that turn a into b.
size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> before(b.size() + 1), above(b.size() + 1), row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    before.swap(above);
    above.swap(row);
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      size_t substituted = above[j - 1] + (a[i - 1] != b[j - 1]);
      row[j] = std::min({above[j] + 1, row[j - 1] + 1, substituted});
      bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) row[j] = std::min(row[j], before[j - 2] + 1);
    }
  }
  return row[b.size()];
}

}  // namespace

std::string nearest(std::string_view word, std::span<const std::string> candidates) {
  std::string best;
  size_t best_distance = std::max<size_t>(1, word.size() / 3) + 1;
  for (const auto& candidate : candidates) {
    size_t distance = edit_distance(word, candidate);
    if (distance < best_distance) {
      best_distance = distance;
      best = candidate;
    }
  }
  return best;
}

std::string did_you_mean(std::string_view word, std::span<const std::string> candidates) {
  const std::string meant = nearest(word, candidates);
  return meant.empty() ? "" : fmt::format("; did you mean '{}'?", meant);
}

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  if (text.empty()) return parts;
  size_t begin = 0;
  for (size_t end; (end = text.find(separator, begin)) != text.npos; begin = end + 1) {
    parts.emplace_back(text.substr(begin, end - begin));
  }
  parts.emplace_back(text.substr(begin));
  return parts;
}

std::string join(std::span<const std::string> parts, std::string_view separator) {
  return fmt::format("{}", fmt::join(parts.begin(), parts.end(), separator));
}

std::string lower_case(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

std::string human_bytes(double bytes) {
  constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  int unit = 0;
  while (bytes >= 1024 && unit < 4) {
    bytes /= 1024;
    ++unit;
  }
  int decimals = unit >= 3 && bytes < 100 ? 1 : 0;
  return fmt::format("{:.{}f} {}", bytes, decimals, kUnits[unit]);
}

std::string human_count(int64_t count) {
  std::string digits = std::to_string(std::abs(count));
  for (auto at = static_cast<int64_t>(digits.size()) - 3; at > 0; at -= 3)
    digits.insert(at, 1, ',');
  return (count < 0 ? "-" : "") + digits;
}

std::string human_duration(double seconds) {
  if (!std::isfinite(seconds)) return "?";
  auto total = static_cast<int64_t>(std::llround(seconds));
  if (total < 60) return fmt::format("{} s", total);
  if (total < 3600) return fmt::format("{} min {:02} s", total / 60, total % 60);
  return fmt::format("{} h {:02} min", total / 3600, total % 3600 / 60);
}

std::string read_file(const std::filesystem::path& path, ExitCode code) {
  constexpr size_t kLargest = size_t{1} << 30, kBlock = size_t{1} << 16;
  std::error_code error;
  auto status = std::filesystem::status(path, error);
  bool piped = path.parent_path() == "/dev/fd";  // <(command); any other pipe may never have an end
  if (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status) && !piped) {
    fail(code, "{}: is a folder or a device, expected a file", path.string());
  }
  std::ifstream stream(path, std::ios::binary);
  if (!stream) fail(code, "{}: cannot open: {}", path.string(), std::strerror(errno));
  std::string text;
  for (std::streamsize count = 1; count > 0;) {
    size_t size = text.size();
    text.resize(size + kBlock);
    count = stream.read(text.data() + size, kBlock).gcount();
    text.resize(size + static_cast<size_t>(count));
    if (text.size() > kLargest) {
      fail(code, "{}: is larger than {}", path.string(), human_bytes(kLargest));
    }
  }
  if (stream.bad()) fail(code, "{}: cannot read: {}", path.string(), std::strerror(errno));
  return text;
}

template <class Number>
Number parse_number(std::string_view text, std::string_view option) {
  constexpr bool kWhole = std::is_integral_v<Number>;
  constexpr const char* kExpected = !kWhole                    ? "a number such as 0.5"
                                    : std::is_signed_v<Number> ? "a whole number"
                                                               : "a whole number from 0";
  Number value{};
  const char* last = text.data() + text.size();
  auto [end, status] = std::from_chars(text.data(), last, value);
  bool held = end == last;
  if constexpr (!kWhole) held = held && std::isfinite(value);
  if (held && status == std::errc::result_out_of_range) {
    fail(ExitCode::kUsage, "{}: '{}' is out of range, expected {} that {} bits hold", option, text,
         kExpected, 8 * sizeof(Number));
  }
  if (!held || status != std::errc()) {
    fail(ExitCode::kUsage, "{}: '{}' is not {}", option, text, kExpected);
  }
  return value;
}

template int parse_number(std::string_view, std::string_view);
template int64_t parse_number(std::string_view, std::string_view);
template uint64_t parse_number(std::string_view, std::string_view);
template double parse_number(std::string_view, std::string_view);

int64_t parse_length(std::string_view text, std::string_view option) {
  int64_t value = 0;
  auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), value);
  std::string_view suffix(end, text.data() + text.size() - end);
  bool kilo = suffix == "k" || suffix == "K";
  if (status != std::errc() || value < 1 || value > (int64_t{1} << 40) ||
      !(suffix.empty() || kilo)) {
    fail(ExitCode::kUsage, "{}: '{}' is no length; give tokens such as 4096 or 4K", option, text);
  }
  return kilo ? value * 1024 : value;
}

std::vector<int64_t> parse_lengths(std::string_view text, std::string_view option) {
  std::vector<int64_t> lengths;
  for (const auto& part : split(text, ',')) lengths.push_back(parse_length(part, option));
  if (lengths.empty()) fail(ExitCode::kUsage, "{}: no length given, expected 4096,8192", option);
  return lengths;
}

int64_t parse_bytes(std::string_view text, std::string_view option) {
  struct Unit {
    std::string_view name;
    int64_t bytes;
  };
  constexpr Unit kUnits[] = {
      {"", 1},          {"B", 1},         {"KB", 1'000},   {"MB", 1'000'000}, {"GB", 1'000'000'000},
      {"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}};
  double value = 0;
  auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), value);
  std::string_view suffix(end, static_cast<size_t>(text.data() + text.size() - end));
  for (const auto& unit : kUnits) {
    double bytes = value * static_cast<double>(unit.bytes);
    if (status == std::errc() && suffix == unit.name && bytes >= 1 && bytes < 9e15) {
      return static_cast<int64_t>(bytes);
    }
  }
  fail(ExitCode::kUsage, "{}: '{}' is no size; give bytes or a number with MB, GB, MiB or GiB",
       option, text);
}

}  // namespace longspan
