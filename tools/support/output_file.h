#pragma once

#include <filesystem>
#include <vector>

namespace longspan {

/// Throws Error(kUsage) where writing the file `out` would replace a folder, a device, one of
/// `inputs` or, of an input that is the folder of a model, one of the model's files.
void require_output(const std::filesystem::path& out,
                    const std::vector<std::filesystem::path>& inputs);

}  // namespace longspan
