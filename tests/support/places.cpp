#include "tests/support/places.h"

#include <cstdlib>

namespace longspan {

std::filesystem::path source_folder() { return LONGSPAN_SOURCE_FOLDER; }
std::filesystem::path reference_folder() { return source_folder() / "tests/reference"; }
std::string cuda_plugin() {
  const char* named = std::getenv("LONGSPAN_CUDA_PLUGIN");  // where the tests were built elsewhere
  return named != nullptr ? named : LONGSPAN_CUDA_PLUGIN;
}

}  // namespace longspan
