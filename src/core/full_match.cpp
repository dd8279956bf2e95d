#include "src/core/full_match.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <cstdint>
#include <memory>
#include <new>

#include "src/core/error.h"

namespace longspan {

namespace {

// Names of modules have some 50 characters, which a sane pattern matches in some hundred steps.
constexpr uint32_t kMostSteps = 100'000, kDeepest = 10'000, kMostKiB = 4096;

std::string reason(int code) {
  PCRE2_UCHAR text[256];
  pcre2_get_error_message(code, text, sizeof text);
  return reinterpret_cast<const char*>(text);
}

PCRE2_SPTR bytes(std::string_view text) { return reinterpret_cast<PCRE2_SPTR>(text.data()); }

}  // namespace

bool full_match(const std::string& pattern, std::string_view text, const std::string& place) {
  int error = 0;
  size_t at = 0;
  const uint32_t options =
      PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C | PCRE2_ANCHORED | PCRE2_ENDANCHORED;
  std::unique_ptr<pcre2_code, decltype(&pcre2_code_free)> code(
      pcre2_compile(bytes(pattern), pattern.size(), options, &error, &at, nullptr),
      pcre2_code_free);
  if (!code) {
    fail(ExitCode::kModel, "{}: '{}' is no regular expression: {} at byte {}", place, pattern,
         reason(error), at);
  }
  std::unique_ptr<pcre2_match_data, decltype(&pcre2_match_data_free)> found(
      pcre2_match_data_create(1, nullptr), pcre2_match_data_free);
  std::unique_ptr<pcre2_match_context, decltype(&pcre2_match_context_free)> limits(
      pcre2_match_context_create(nullptr), pcre2_match_context_free);
  if (!found || !limits) throw std::bad_alloc();
  pcre2_set_match_limit(limits.get(), kMostSteps);
  pcre2_set_depth_limit(limits.get(), kDeepest);
  pcre2_set_heap_limit(limits.get(), kMostKiB);
  int result = pcre2_match(code.get(), bytes(text), text.size(), 0, 0, found.get(), limits.get());
  if (result == PCRE2_ERROR_NOMATCH) return false;
  if (result < 0) {
    fail(ExitCode::kModel, "{}: '{}' cannot be matched with '{}': {}; simplify it", place, pattern,
         text, reason(result));
  }
  return true;
}

}  // namespace longspan
