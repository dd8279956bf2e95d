#pragma once

#include <filesystem>
#include <string_view>
#include <vector>

#include "tools/support/arguments.h"

namespace longspan {

/// Throws Error(kUsage) where writing the file `out` would replace a folder, a device, one of
/// `inputs` or, of an input that is the folder of a model, one of the model's files.
void require_output(const std::filesystem::path& out,
                    const std::vector<std::filesystem::path>& inputs);

/// Throws Error(kUsage) where `out` is there and --force was not given.
void require_new_output(const std::filesystem::path& out, const Arguments& arguments);

/// Throws, with the signal's exit code, where a signal asks the command to stop whose output is not
/// in place yet.
void require_not_stopped(std::string_view command);

}  // namespace longspan
