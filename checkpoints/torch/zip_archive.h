#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace longspan {

/// Where the bytes of one member stand in the archive.
struct ZipMember {
  int64_t begin = 0;
  int64_t size = 0;
};

/// The members of a ZIP or ZIP64 archive by name, checked to lie inside it. Only stored members are
/// read, which is how torch.save writes; a compressed or encrypted one, a name that stands twice
/// and a damaged directory throw Error(kModel). Format: PKWARE APPNOTE 6.3.
std::map<std::string, ZipMember> read_zip_directory(std::string_view archive,
                                                    const std::string& place);

}  // namespace longspan
