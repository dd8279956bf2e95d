#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "src/rope/rope_scaling.h"

namespace longspan {

/// What a scaling means that is asked of a model whose RoPE is scaled already.
enum class OnScaled {
  kError,    // nothing: the user must say
  kReplace,  // it stands in place of the model's own, its factor counts from the original length
  kCompose,  // it comes on top, its factor counts from the model's present context
};

/// "error", "replace", "compose", in the order of the enum.
const std::vector<std::string>& on_scaled_names();
/// Error(kUsage) for any other name.
OnScaled parse_on_scaled(const std::string& name, const std::string& option);

/// The one scaling that is `extension` on top of `base`. It exists where one formula holds both:
///   base or extension default     the other one
///   linear x linear, ntk x ntk    their factors multiplied; exactly the one after the other
///   yarn x yarn, llama3 x llama3  their factors multiplied, from the first original length on, as
///                                 YaRN goes from x16 to x32 (Peng et al. 2023, section 4); all
///                                 other keys must be equal
/// Anything else throws Error(kRecipe) saying why and what to choose. `original` is the length
/// before `base`, `context` the one `base` reaches.
std::shared_ptr<const RopeScaling> compose_rope(const RopeScaling& base, int64_t original,
                                                int64_t context, const RopeScaling& extension);

}  // namespace longspan
