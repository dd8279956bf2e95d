#pragma once

#include "data/documents/document_source.h"
#include "tools/support/arguments.h"

namespace longspan {

/// Of the commands that read documents; they have --strict of their own too.
inline constexpr Option kDocumentOptions[] = {
    {"text-key", "KEY", "text", "key of the text in a .jsonl record"},
    {"max-document-size", "SIZE", "1GiB",
     "a document that is larger, once decompressed, is an error"},
    {"max-window", "SIZE", "2GiB",
     "memory that a .zst may look back over (what zstd --long=31 writes wants 2GiB)"},
};

/// What these options and --strict say.
DocumentOptions read_document_options(const Arguments& arguments);

}  // namespace longspan
