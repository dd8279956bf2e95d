#pragma once

#include <string>

#include "src/core/diagnostics.h"
#include "src/core/json.h"

namespace longspan {

/// Parses a YAML document and marks the place of each dotted key path ("stages.0.steps") in
/// `diagnostics`. Plain scalars are typed by the core schema of YAML 1.2 (1e-4 is a number, `no` is
/// a text), quoted ones are texts. Syntax errors, duplicate keys, numbers that do not fit, tags
/// other than !!str and a second document go to `diagnostics`; what could be read is returned.
Json read_yaml(const std::string& text, const std::string& file, Diagnostics& diagnostics);

/// Parses the value of an override. It and all below it are marked "command line"; `key_path`
/// is where it will stand.
Json read_yaml_override(const std::string& value, const std::string& key_path,
                        Diagnostics& diagnostics);

/// Block-style YAML that read_yaml reads back as the same value.
std::string write_yaml(const Json& value);

}  // namespace longspan
