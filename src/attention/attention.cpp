#include "src/attention/attention.h"

#include "src/attention/full.h"
#include "src/attention/key_value_cache.h"
#include "src/attention/shifted_sparse.h"
#include "src/attention/sliding_window.h"
#include "src/core/text.h"

namespace longspan {

namespace {

struct Entry {
  const char* name;
  std::shared_ptr<AttentionPattern> (*make)();
};

template <class Pattern>
std::shared_ptr<AttentionPattern> make() {
  return std::make_shared<Pattern>();
}

// A new pattern is a file and a line here.
constexpr Entry kPatterns[] = {
    {"full", make<FullAttention>},
    {"shifted_sparse", make<ShiftedSparseAttention>},
    {"sliding_window", make<SlidingWindowAttention>},
};

}  // namespace

std::shared_ptr<LayerState> AttentionPattern::make_state(int64_t) const {
  return std::make_shared<KeyValueCache>();
}

std::vector<std::string> attention_patterns() {
  std::vector<std::string> names;
  for (const auto& entry : kPatterns) names.emplace_back(entry.name);
  return names;
}

std::shared_ptr<AttentionPattern> make_attention_pattern(std::string_view name) {
  for (const auto& entry : kPatterns) {
    if (entry.name == name) return entry.make();
  }
  return nullptr;
}

std::shared_ptr<AttentionPattern> read_attention_pattern(Fields fields) {
  std::string name = "full";
  fields.choice("pattern", name, attention_patterns());
  auto pattern = make_attention_pattern(name);
  pattern->read(fields);
  fields.finish();
  return pattern;
}

}  // namespace longspan
