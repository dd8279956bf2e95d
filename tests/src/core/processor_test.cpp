#include "src/core/processor.h"

#include <gtest/gtest.h>

#include <cstdlib>

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

TEST(Processor, IsAmxForThoseAloneWhoNameIt) {
  if (std::getenv("LONGSPAN_CPU") != nullptr) GTEST_SKIP() << "LONGSPAN_CPU names one";
  EXPECT_LE(processor(), Processor::kAvx512Bf16);
  if (auto reason = beyond_this_processor("amx"); !reason.empty()) GTEST_SKIP() << reason;
  const ForcedProcessor forced("amx");
  EXPECT_EQ(processor(), Processor::kAmx);
}

TEST(Processor, RefusesNamesItDoesNotKnow) {
  for (const char* name : {"sse", "AVX2", ""}) {
    const ForcedProcessor forced(name);
    EXPECT_THROW(processor(), Error) << name;
  }
}

}  // namespace
}  // namespace longspan
