#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace longspan {

/// A run of a document's text that is learned as a whole or not at all.
struct DocumentPart {
  std::string text;      // valid UTF-8 (what was not is U+FFFD), without a byte-order mark
  bool is_label = true;  // false: read as context, and not a label of the loss
};

/// One text: a file, or one record of it.
struct Document {
  std::string name;                 // path of the file, with ":line" behind it for a record
  std::vector<DocumentPart> parts;  // one after another they are the text
  int64_t raw_bytes = 0;  // bytes of input (as stored, compressed or not) consumed since the last

  std::string text() const;
};

}  // namespace longspan
