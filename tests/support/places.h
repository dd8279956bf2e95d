#pragma once

#include <filesystem>
#include <string>

namespace longspan {

/// The repository.
std::filesystem::path source_folder();
/// Golden data, with what made it: tests/reference.
std::filesystem::path reference_folder();
/// The CUDA plugin that was built beside the tests; "" where none was.
std::string cuda_plugin();

}  // namespace longspan
