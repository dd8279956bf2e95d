#pragma once

#include <string_view>

namespace longspan {

/// Whether `map`, the precompiled_charsmap of a SentencePiece model, can be looked into without
/// leaving it: the size of a double array (Darts), the array, and the texts that its values are
/// places in. The library believes it.
bool is_sound_character_map(std::string_view map);

}  // namespace longspan
