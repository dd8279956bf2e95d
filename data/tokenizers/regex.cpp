#include "data/tokenizers/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <new>

#include "src/core/error.h"

namespace longspan {

namespace {

std::string reason(int code) {
  PCRE2_UCHAR text[256];
  pcre2_get_error_message(code, text, sizeof text);
  return reinterpret_cast<const char*>(text);
}

/// `pattern` with Oniguruma's meaning of \w (marks, all that is alphabetic and Latin-1's numbers
/// are of a word) and of \h (a hexadecimal digit), which PCRE2 10 does not share.
std::string for_pcre2(std::string_view pattern) {
  constexpr const char* kWord =
      "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\x{B2}\\x{B3}\\x{B9}\\x{BC}-\\x{BE}";
  constexpr const char* kHex = "0-9A-Fa-f";
  std::string text;
  bool in_class = false;
  for (size_t at = 0; at < pattern.size(); ++at) {
    const char c = pattern[at];
    if (c != '\\' || at + 1 == pattern.size()) {
      if (c == '[') in_class = true;
      if (c == ']') in_class = false;
      text += c;
      continue;
    }
    const char escaped = pattern[++at];
    const bool word = escaped == 'w' || escaped == 'W', hex = escaped == 'h' || escaped == 'H';
    const bool negated = escaped == 'W' || escaped == 'H';
    if ((!word && !hex) || (in_class && negated)) {
      text.append({c, escaped});
    } else {
      const std::string members = word ? kWord : kHex;
      text += in_class ? members : fmt::format("[{}{}]", negated ? "^" : "", members);
    }
  }
  return text;
}

}  // namespace

struct RegexScratch::Buffers {
  pcre2_match_data* match = pcre2_match_data_create(1, nullptr);
  pcre2_match_context* context = pcre2_match_context_create(nullptr);
  pcre2_jit_stack* stack = pcre2_jit_stack_create(32 << 10, 8 << 20, nullptr);
  ~Buffers() {
    pcre2_jit_stack_free(stack);
    pcre2_match_context_free(context);
    pcre2_match_data_free(match);
  }
};

RegexScratch::RegexScratch() : buffers_(std::make_unique<Buffers>()) {
  if (buffers_->match == nullptr || buffers_->context == nullptr) throw std::bad_alloc();
  pcre2_jit_stack_assign(buffers_->context, nullptr, buffers_->stack);
  pcre2_set_heap_limit(buffers_->context, 64 << 10);  // KiB; of a pattern that JIT cannot take
}
RegexScratch::~RegexScratch() = default;

struct Regex::Code {
  pcre2_code* code = nullptr;
  ~Code() { pcre2_code_free(code); }
};

Regex::Regex(std::string pattern, const std::string& place, Kind kind)
    : pattern_(std::move(pattern)), kind_(kind), code_(std::make_unique<Code>()) {
  int error = 0;
  size_t at = 0;
  const uint32_t options = kind == Kind::kLiteral
                               ? PCRE2_LITERAL
                               : PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C;  // \C cuts within a character
  const std::string compiled = kind == Kind::kLiteral ? pattern_ : for_pcre2(pattern_);
  code_->code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(compiled.data()), compiled.size(),
                              PCRE2_UTF | options, &error, &at, nullptr);
  if (code_->code == nullptr) {
    fail(ExitCode::kModel, "{}: the pattern '{}' cannot be used: {} at byte {}", place, compiled,
         reason(error), at);
  }
  // Without JIT (a hardened kernel may forbid it) matching is slower and gives the same pieces.
  pcre2_jit_compile(code_->code, PCRE2_JIT_COMPLETE);
}
Regex::~Regex() = default;
Regex::Regex(Regex&&) noexcept = default;

Regex::Match Regex::find(std::string_view text, size_t from, RegexScratch& scratch) const {
  auto& buffers = *scratch.buffers_;
  int found = pcre2_match(code_->code, reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), from,
                          PCRE2_NO_UTF_CHECK, buffers.match, buffers.context);
  if (found == PCRE2_ERROR_NOMATCH) return std::nullopt;
  if (found < 0) {
    fail(ExitCode::kModel, "tokenizer: the pattern '{}' fails on a text of {} bytes: {}", pattern_,
         text.size(), reason(found));
  }
  const size_t* ends = pcre2_get_ovector_pointer(buffers.match);
  return std::pair(ends[0], ends[1]);
}

}  // namespace longspan
