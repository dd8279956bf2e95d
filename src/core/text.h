#pragma once

#include <concepts>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "src/core/error.h"

namespace longspan {

/// The candidate with the smallest edit distance to `word`, or "" when none is near enough to be
/// what was meant (more than a third of the letters differ).
std::string nearest(std::string_view word, std::span<const std::string> candidates);
/// "; did you mean 'yarn'?" of the nearest, or "".
std::string did_you_mean(std::string_view word, std::span<const std::string> candidates);

/// The parts of `text` between separators; an empty text has none.
std::vector<std::string> split(std::string_view text, char separator);
/// The inverse of split().
std::string join(std::span<const std::string> parts, std::string_view separator);

/// ASCII letters in lower case; other bytes stay.
std::string lower_case(std::string text);

/// "1.5 GiB", "312 MiB", "17 B".
std::string human_bytes(double bytes);
std::string human_bytes(std::integral auto bytes) {
  return human_bytes(static_cast<double>(bytes));
}
/// 1234567 -> "1,234,567".
std::string human_count(int64_t count);
/// "42 s", "3 min 05 s", "2 h 07 min".
std::string human_duration(double seconds);

/// A whole file. Throws Error(code) naming the path when it cannot be read.
std::string read_file(const std::filesystem::path& path, ExitCode code);

/// The number that `text` is, all of it: "3x", "0,7", "inf" and what the type cannot hold throw
/// Error(kUsage) naming `option`. Number: int, int64_t, uint64_t or double.
template <class Number>
Number parse_number(std::string_view text, std::string_view option);

/// Parses "4096" or "4k"/"4K" (= 4096) and lists "4096,8192"; throws Error(kUsage) naming `option`.
int64_t parse_length(std::string_view text, std::string_view option);
std::vector<int64_t> parse_lengths(std::string_view text, std::string_view option);

/// Parses a size in bytes from 1: "700", "5GB" (powers of 1000), "1.5GiB" (powers of 1024); throws
/// Error(kUsage) naming `option`.
int64_t parse_bytes(std::string_view text, std::string_view option);

}  // namespace longspan
