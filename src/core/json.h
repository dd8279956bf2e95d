#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>

#include "src/core/error.h"

namespace longspan {

/// Keeps the order of keys, so that a config.json we rewrite stays readable beside the original.
using Json = nlohmann::ordered_json;

/// Reads one JSON file. Throws Error(code) with the file and the parser's place when it is missing
/// or malformed, or nests deeper than 256 levels.
Json read_json_file(const std::filesystem::path& path, ExitCode code);

/// Parses JSON from memory; `place` names it in errors.
Json parse_json(std::string_view text, const std::string& place, ExitCode code);

/// With an indent of 2. Bytes of a text that are not UTF-8 (paths have them) become U+FFFD.
std::string json_text(const Json& value);
/// The same on one line, without its end.
std::string json_line(const Json& value);

/// Writes json_text and a final newline, aside and renamed (see atomic_file.h).
void write_json_file(const std::filesystem::path& path, const Json& value);

}  // namespace longspan
