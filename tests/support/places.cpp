#include "tests/support/places.h"

namespace longspan {

std::filesystem::path source_folder() { return LONGSPAN_SOURCE_FOLDER; }
std::filesystem::path reference_folder() { return source_folder() / "tests/reference"; }
std::string cuda_plugin() { return LONGSPAN_CUDA_PLUGIN; }

}  // namespace longspan
