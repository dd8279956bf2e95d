#include "src/core/processor.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "src/core/error.h"

namespace longspan {
namespace {

TEST(Processor, IsALesserOneWhenTheEnvironmentSaysSo) {
  const Processor own = processor();
  setenv("LONGSPAN_CPU", "none", 1);
  EXPECT_EQ(processor(), Processor::kNone);
  EXPECT_FALSE(has_avx512_bf16());
  if (own >= Processor::kAvx2) {
    setenv("LONGSPAN_CPU", "avx2", 1);
    EXPECT_EQ(processor(), Processor::kAvx2);
  }
  unsetenv("LONGSPAN_CPU");
  EXPECT_EQ(processor(), own);
}

TEST(Processor, RefusesNamesItDoesNotKnow) {
  for (const char* name : {"sse", "AVX2", ""}) {
    setenv("LONGSPAN_CPU", name, 1);
    EXPECT_THROW(processor(), Error) << name;
  }
  unsetenv("LONGSPAN_CPU");
}

}  // namespace
}  // namespace longspan
