#include "trainer/eval/arms/arm.h"

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
#include "trainer/eval/arms/rolling_cache_attention.h"
#include "trainer/eval/arms/rope_arm.h"
#include "trainer/eval/arms/smaller_model.h"
#include "trainer/eval/arms/truncate.h"

namespace longspan {

namespace {

template <class Kind, class... Arguments>
std::unique_ptr<Arm> make_kind(Arguments... arguments) {
  return std::make_unique<Kind>(arguments...);
}

constexpr SettableEntry<Arm> kArms[] = {
    {"full", make_kind<FullArm>},
    {"rope", make_kind<RopeArm>},
    {"linear", [] { return make_kind<FactorArm>("linear"); }},
    {"ntk", [] { return make_kind<FactorArm>("ntk"); }},
    {"yarn", [] { return make_kind<FactorArm>("yarn"); }},
    {"shifted_sparse",
     [] { return make_kind<PatternArm>(make_attention_pattern("shifted_sparse")); }},
    {"sliding_window",
     [] { return make_kind<PatternArm>(std::make_shared<RollingCacheAttention>()); }},
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

std::vector<std::string> eval_arms() { return names_in<Arm>(kArms); }

std::vector<std::string> eval_arm_keys() { return keys_in<Arm>(kArms); }

std::unique_ptr<Arm> make_arm(std::string_view name) { return make_from<Arm>(kArms, name); }

std::shared_ptr<Arm> full_arm() { return make_arm("full"); }

}  // namespace longspan
