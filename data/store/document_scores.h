#pragma once

#include <filesystem>
#include <vector>

#include "data/store/token_store.h"

namespace longspan {

/// Which documents of the store a file of `longspan data-score` keeps: those of the highest scores,
/// of equal ones the first, until they hold `share` of the store's tokens, and at least one.
/// The file has a line of JSON a document, {document, name, tokens, score, ...}. One that is
/// damaged, or that does not have each document of the store as it is there, throws Error(kData)
/// that names the line.
std::vector<bool> documents_of_highest_scores(const std::filesystem::path& scores, double share,
                                              const TokenStore& store);

}  // namespace longspan
