#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <vector>

#include "src/core/json.h"

namespace longspan {

/// LongPPL's settings.
struct KeyTokenRule {
  int64_t short_tokens = 1024, block = 256;
  double alpha = 2, beta = -2;
};

/// The loss of each of the last `targets` of ids.
using TargetLosses =
    std::function<std::vector<double>(const std::vector<int64_t>& ids, int64_t targets)>;

/// The places in `ids` of its key tokens, rising; only those with more than short_tokens before
/// them can be.
std::vector<int64_t> find_key_tokens(const std::vector<int64_t>& ids, const KeyTokenRule& rule,
                                     const TargetLosses& losses);

/// The key tokens of several texts and lengths, by the digest of their ids.
class KeyTokenFile {
 public:
  /// Reads the file where it is there; else begins with `known`, what places() gave before. A file
  /// of another rule is Error(kUsage), one that is none is Error(kData).
  KeyTokenFile(std::filesystem::path path, const KeyTokenRule& rule, Json known = Json::object());

  /// Those of `ids`, found by `losses` where the file has none.
  std::vector<int64_t> of(const std::vector<int64_t>& ids, const TargetLosses& losses);
  /// All that are known: {digest: [places]}.
  const Json& places() const { return places_; }
  /// Writes the file where there is a path and something new.
  void save() const;

 private:
  std::filesystem::path path_;
  KeyTokenRule rule_;
  Json places_;
  bool is_new_ = false;
};

}  // namespace longspan
