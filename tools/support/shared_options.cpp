#include "tools/support/shared_options.h"

#include "src/rope/compose_rope.h"

namespace longspan {

std::vector<std::string> devices() { return {"cpu", "cuda", "auto"}; }
std::vector<std::string> computed_dtypes() { return {"bfloat16", "float32"}; }
std::vector<std::string> written_dtypes() { return {"bfloat16", "float16", "float32"}; }
std::vector<std::string> quantizations() { return {"none", "nf4", "int8"}; }
std::vector<std::string> scaled_meanings() { return on_scaled_names(); }

}  // namespace longspan
