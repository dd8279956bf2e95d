#include "data/documents/document.h"

namespace longspan {

std::string Document::text() const {
  std::string whole;
  for (const auto& part : parts) whole += part.text;
  return whole;
}

}  // namespace longspan
