#include "src/core/base64.h"

#include <openssl/evp.h>

#include <climits>

namespace longspan {

std::optional<std::string> decode_base64(std::string_view text) {
  if (text.empty()) return "";
  const size_t padding = text.size() - (text.find_last_not_of('=') + 1);
  const bool of_whole_groups = text.size() % 4 == 0 && text.size() <= INT_MAX;
  // OpenSSL passes over white space at both ends, and takes '=' for a zero anywhere.
  const bool strange = text.find_first_of(" \t\r\n") != text.npos ||
                       text.substr(0, text.size() - padding).find('=') != text.npos;
  if (!of_whole_groups || strange || padding > 2) return std::nullopt;
  std::string bytes(text.size() / 4 * 3, '\0');
  const int size = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(bytes.data()),
                                   reinterpret_cast<const unsigned char*>(text.data()),
                                   static_cast<int>(text.size()));
  if (size < 0) return std::nullopt;
  bytes.resize(static_cast<size_t>(size) - padding);
  return bytes;
}

}  // namespace longspan
