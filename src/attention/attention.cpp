#include "src/attention/attention.h"

#include "src/attention/focused_memory.h"
#include "src/attention/full.h"
#include "src/attention/key_value_cache.h"
#include "src/attention/shifted_sparse.h"
#include "src/attention/sliding_window.h"
#include "src/core/fields_schema.h"

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

constexpr const char* kNameKey = "pattern";

// A new pattern is a file and a line here.
constexpr Entry kPatterns[] = {
    {"full", make<FullAttention>},
    {"shifted_sparse", make<ShiftedSparseAttention>},
    {"sliding_window", make<SlidingWindowAttention>},
    {"focused_memory", make<FocusedMemoryAttention>},
};

}  // namespace

std::shared_ptr<LayerState> AttentionPattern::make_state(int64_t) const {
  return std::make_shared<KeyValueCache>();
}

std::string AttentionPattern::misfit(int64_t, int64_t) const { return {}; }

std::string AttentionPattern::describe(int64_t, int64_t) const { return std::string(name()); }

std::string AttentionPattern::misfit_of_batch(int64_t, int64_t) const { return {}; }

int64_t AttentionPattern::other_rows(int64_t, int64_t) const { return 0; }

int64_t AttentionPattern::read_pairs(int64_t, int64_t seq_len, int64_t num_heads) const {
  return scored_pairs(seq_len, num_heads);
}

double AttentionPattern::kept_bytes(int64_t, int64_t seq_len, const KeyValueForm& form) const {
  return form.bytes(seq_len);
}

int64_t AttentionPattern::trained_pairs(int64_t layer, int64_t rows, int64_t seq_len,
                                        int64_t num_heads) const {
  return rows * read_pairs(layer, seq_len, num_heads);
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
  fields.choice(kNameKey, name, attention_patterns());
  auto pattern = make_attention_pattern(name);
  pattern->read(fields);
  fields.finish();
  return pattern;
}

Json write_attention_pattern(const AttentionPattern& pattern) {
  Json map = {{kNameKey, pattern.name()}};
  map.update(pattern.write());
  return map;
}

void describe_attention_pattern(const std::string& name, FieldsSchema& schema) {
  std::string pattern = name;
  schema.choice(kNameKey, pattern, {name}, "who attends to whom", {.otherwise = "`full`"});
  if (name != "full") schema.require_one_of({kNameKey});
  make_attention_pattern(name)->fields(schema);
}

}  // namespace longspan
