#include "src/core/processor.h"

#include <gtest/gtest.h>

#include "src/core/error.h"
#include "tests/support/processors.h"

namespace longspan {
namespace {

TEST(Processor, IsALesserOneWhenTheEnvironmentSaysSo) {
  const Processor own = processor();
  {
    const ForcedProcessor forced("none");
    EXPECT_EQ(processor(), Processor::kNone);
  }
  if (own >= Processor::kAvx2) {
    const ForcedProcessor forced("avx2");
    EXPECT_EQ(processor(), Processor::kAvx2);
  }
  EXPECT_EQ(processor(), own);
}

TEST(Processor, RefusesNamesItDoesNotKnow) {
  for (const char* name : {"sse", "AVX2", ""}) {
    const ForcedProcessor forced(name);
    EXPECT_THROW(processor(), Error) << name;
  }
}

}  // namespace
}  // namespace longspan
