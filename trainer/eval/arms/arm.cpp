#include "trainer/eval/arms/arm.h"

#include <fmt/format.h>

#include "src/core/fields_reader.h"
#include "src/core/fields_writer.h"
#include "trainer/eval/arms/block_memory.h"
#include "trainer/eval/arms/downsample.h"
#include "trainer/eval/arms/focused_memory_arm.h"
#include "trainer/eval/arms/full.h"
#include "trainer/eval/arms/kv_cache.h"
#include "trainer/eval/arms/no_context.h"
#include "trainer/eval/arms/oracle.h"
#include "trainer/eval/arms/pattern_arm.h"
#include "trainer/eval/arms/position_arms.h"
#include "trainer/eval/arms/retrieval.h"
#include "trainer/eval/arms/rope_arm.h"
#include "trainer/eval/arms/smaller_model.h"
#include "trainer/eval/arms/truncate.h"

namespace longspan {

namespace {

struct ArmEntry {
  std::string_view name;
  std::unique_ptr<Arm> (*make)();
};

template <class Kind, class... Arguments>
std::unique_ptr<Arm> make_kind(Arguments... arguments) {
  return std::make_unique<Kind>(arguments...);
}

std::unique_ptr<Arm> make_pattern(std::string_view name) {
  return std::make_unique<PatternArm>(make_attention_pattern(name));
}

constexpr ArmEntry kArms[] = {
    {"full", make_kind<FullArm>},
    {"rope", make_kind<RopeArm>},
    {"linear", [] { return make_kind<FactorArm>("linear"); }},
    {"ntk", [] { return make_kind<FactorArm>("ntk"); }},
    {"yarn", [] { return make_kind<FactorArm>("yarn"); }},
    {"shifted_sparse", [] { return make_pattern("shifted_sparse"); }},
    {"sliding_window", [] { return make_pattern("sliding_window"); }},
    {"dual_chunk", make_kind<DualChunkArm>},
    {"string", make_kind<StringArm>},
    {"block_memory", make_kind<BlockMemoryArm>},
    {"focused_memory", make_kind<FocusedMemoryArm>},
    {"kv_cache", make_kind<KvCacheArm>},
    {"smaller_model", make_kind<SmallerModelArm>},
    {"retrieval", make_kind<RetrievalArm>},
    {"downsample", make_kind<DownsampleArm>},
    {"truncate", make_kind<TruncateArm>},
    {"no_context", make_kind<NoContextArm>},
    {"oracle", make_kind<OracleArm>},
};

}  // namespace

std::vector<std::string> eval_arms() {
  std::vector<std::string> names;
  for (const auto& entry : kArms) names.emplace_back(entry.name);
  return names;
}

std::vector<std::string> eval_arm_keys() {
  std::vector<std::string> keys;
  for (const auto& entry : kArms) {
    const Json defaults = entry.make()->write();
    for (const auto& [key, value] : defaults.items()) {
      keys.push_back(fmt::format("{}.{}={}", entry.name, key, value.dump()));
    }
  }
  return keys;
}

std::unique_ptr<Arm> make_arm(std::string_view name) {
  for (const auto& entry : kArms) {
    if (entry.name == name) return entry.make();
  }
  return nullptr;
}

std::shared_ptr<Arm> full_arm() { return make_arm("full"); }

void Arm::read(Fields& map) {
  FieldsReader reader(map);
  fields(reader);
}

Json Arm::write() const {
  FieldsWriter writer;
  const_cast<Arm*>(this)->fields(writer);  // changes what it is given to read only
  return writer.map_written();
}

}  // namespace longspan
