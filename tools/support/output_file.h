#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tools/support/arguments.h"

namespace longspan {

/// Throws Error(kUsage) where writing the file `out` would replace a folder, a device, one of
/// `inputs` or, of an input that is the folder of a model, one of the model's files.
void require_output(const std::filesystem::path& out,
                    const std::vector<std::filesystem::path>& inputs);

/// Throws Error(kUsage) where two of these options, each with its file, would write one file.
void require_outputs_apart(
    const std::vector<std::pair<std::string, std::filesystem::path>>& options);

/// Throws Error(kUsage) where `out` is there and --force was not given.
void require_new_output(const std::filesystem::path& out, const Arguments& arguments);

/// Throws, with the signal's exit code, where a signal asks the command to stop whose output is not
/// in place yet.
void require_not_stopped(std::string_view command);

}  // namespace longspan
