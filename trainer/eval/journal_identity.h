#pragma once

#include <filesystem>
#include <string_view>

#include "src/core/json.h"

namespace longspan {

/// Throws Error(kCheckpoint) where a key of `ours` has another value in `theirs`, the identity in
/// the journal `path`: what the journal holds ("the answers of another run"), the key, both values,
/// and what to do.
void require_same_identity(const std::filesystem::path& path, const Json& theirs, const Json& ours,
                           std::string_view holds, std::string_view what_to_do);

}  // namespace longspan
