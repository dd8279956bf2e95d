#pragma once

#include <string>

namespace longspan {

class TokenStore;

/// SHA-256 of a store's documents (names, places, lengths), ids and, unless all are, which of these
/// are labels; of more than 2^24 ids, of 4,096 evenly spaced runs of 4,096.
std::string tokens_fingerprint(const TokenStore& store);

}  // namespace longspan
