#include "trainer/eval/journal_identity.h"

#include "src/core/error.h"

namespace longspan {

void require_same_identity(const std::filesystem::path& path, const Json& theirs, const Json& ours,
                           std::string_view holds, std::string_view what_to_do) {
  for (const auto& [key, value] : ours.items()) {
    const Json other = theirs.is_object() ? theirs.value(key, Json()) : Json();
    if (other == value) continue;
    fail(ExitCode::kCheckpoint, "{}: holds {}: its {} is {}, here it is {}; {}", path.string(),
         holds, key, other.dump(), value.dump(), what_to_do);
  }
}

}  // namespace longspan
