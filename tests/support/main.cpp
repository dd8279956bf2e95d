#include <gmock/gmock.h>

/// 77, which ctest shows as skipped, where every test that was asked for was.
int main(int argc, char** argv) {
  testing::InitGoogleMock(&argc, argv);
  const int result = RUN_ALL_TESTS();
  const auto& run = *testing::UnitTest::GetInstance();
  const bool all_were_skipped =
      run.skipped_test_count() > 0 && run.skipped_test_count() == run.test_to_run_count();
  return result == 0 && all_were_skipped ? 77 : result;
}
