#include "src/nn/activation_store.h"

#include <ATen/Context.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <csignal>
#include <numeric>
#include <random>

#include "src/core/error.h"
#include "tests/support/errors.h"
#include "tests/support/temporary_folder.h"

namespace longspan {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr int64_t kMebibyte = int64_t{1} << 20;

at::Tensor random_bytes(int64_t bytes) { return at::randint(0, 256, {bytes}, at::kByte); }

/// The files without a name that this process has open in `folder`.
std::vector<std::filesystem::path> unnamed_files(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> found;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code gone;
    const auto target = std::filesystem::read_symlink(entry.path(), gone).string();
    if (target.starts_with(folder.string()) && target.ends_with("(deleted)")) {
      found.push_back(entry.path());
    }
  }
  return found;
}

class OnDisk : public testing::Test {
 protected:
  OnDisk() { at::manual_seed(0); }
  ActivationStoreOptions options(int64_t ram_bytes = 0) const {
    return {.ram_bytes = ram_bytes, .directory = folder_.path()};
  }
  TemporaryFolder folder_;
};

std::vector<at::Tensor> of_many_kinds() {
  return {at::randn({3, 5}),
          at::randn({2, 3, 4}).to(at::kBFloat16),
          at::randn({4, 6}).t(),
          at::arange(7),
          at::zeros({}),
          at::empty({0, 3}),
          random_bytes(SpillFile::kBlockBytes),
          random_bytes(2 * SpillFile::kBlockBytes + 13)};
}

void expect_same(const at::Tensor& back, const at::Tensor& tensor) {
  EXPECT_EQ(back.scalar_type(), tensor.scalar_type());
  EXPECT_TRUE(at::equal(back, tensor));
}

TEST(ActivationStore, GivesBackWhatItKeptInRam) {
  ActivationStore store({});
  for (const auto& tensor : of_many_kinds()) expect_same(store.take(store.put(tensor)), tensor);
  EXPECT_EQ(store.bytes_in_ram(), 0);
  EXPECT_EQ(store.bytes_written(), 0);
}

TEST_F(OnDisk, GivesBackBitForBitInReverse) {
  const auto tensors = of_many_kinds();
  ActivationStore store(options());
  for (int step = 0; step < 3; ++step) {
    std::vector<ActivationStore::Ticket> tickets;
    for (const auto& tensor : tensors) tickets.push_back(store.put(tensor));
    for (size_t i = tensors.size(); i-- > 0;) expect_same(store.take(tickets[i]), tensors[i]);
  }
  EXPECT_GT(store.bytes_written(), 0);
  EXPECT_GT(store.bytes_read(), 0);
  EXPECT_EQ(store.bytes_in_ram(), 0);
}

TEST_F(OnDisk, GivesBackInAnyOrder) {
  std::mt19937 shuffle(0);
  ActivationStore store(options(kMebibyte));
  for (int round = 0; round < 6; ++round) {
    std::vector<at::Tensor> tensors;
    std::vector<ActivationStore::Ticket> tickets;
    for (int i = 0; i < 12; ++i) {
      tensors.push_back(at::randn({1 + 40000 * (i % 4)}));
      tickets.push_back(store.put(tensors.back()));
    }
    std::vector<int> order(tensors.size());
    std::iota(order.begin(), order.end(), 0);
    std::shuffle(order.begin(), order.end(), shuffle);
    for (int i : order) expect_same(store.take(tickets[i]), tensors[i]);
  }
  EXPECT_EQ(store.bytes_in_ram(), 0);
}

TEST_F(OnDisk, KeepsNoMoreInRamThanItsBound) {
  constexpr int64_t kBytes = 4 * kMebibyte, kCount = 24, kBound = 4 * kBytes;
  ActivationStore store(options(kBound));
  std::vector<ActivationStore::Ticket> tickets;
  for (int64_t i = 0; i < kCount; ++i) tickets.push_back(store.put(at::empty({kBytes}, at::kByte)));
  EXPECT_LE(store.peak_bytes_in_ram(), kBound + 2 * kBytes);  // two are being written
  for (int64_t i = kCount; i-- > 0;) store.take(tickets[i]);
  EXPECT_LE(store.peak_bytes_in_ram(), kBound + 2 * kBytes);  // one taken, one read ahead
  EXPECT_GE(store.bytes_written(), (kCount - 4 - 2) * kBytes);
}

TEST_F(OnDisk, UsesTheRoomInTheFileAgain) {
  ActivationStore store(options());
  for (int step = 0; step < 5; ++step) {
    std::vector<ActivationStore::Ticket> tickets;
    for (int i = 0; i < 8; ++i) tickets.push_back(store.put(random_bytes(kMebibyte)));
    for (size_t i = tickets.size(); i-- > 0;) store.take(tickets[i]);
  }
  const auto files = unnamed_files(folder_.path());
  ASSERT_EQ(files.size(), 1u);
  EXPECT_LE(std::filesystem::file_size(files[0]), static_cast<uintmax_t>(8 * kMebibyte));
}

/// Bytes of a file that lie in the page cache.
int64_t cached_bytes(const std::filesystem::path& path) {
  const int64_t size = static_cast<int64_t>(std::filesystem::file_size(path)), page = getpagesize();
  const int file = open(path.c_str(), O_RDONLY);
  void* mapped = mmap(nullptr, size, PROT_READ, MAP_SHARED, file, 0);
  std::vector<unsigned char> resident((size + page - 1) / page);
  EXPECT_EQ(mincore(mapped, size, resident.data()), 0);
  munmap(mapped, size);
  close(file);
  return page * std::count_if(resident.begin(), resident.end(), [](auto flag) { return flag & 1; });
}

TEST_F(OnDisk, LeavesThePageCacheAlone) {
  struct statfs system;
  statfs(folder_.path().c_str(), &system);
  if (system.f_type == TMPFS_MAGIC) GTEST_SKIP() << "the folder for temporary files is in RAM";
  ActivationStore store(options());
  std::vector<ActivationStore::Ticket> tickets;
  for (int i = 0; i < 5; ++i) tickets.push_back(store.put(random_bytes(SpillFile::kBlockBytes)));
  while (store.bytes_in_ram() > 0) usleep(100);
  const auto files = unnamed_files(folder_.path());
  ASSERT_EQ(files.size(), 1u);
  EXPECT_LE(cached_bytes(files[0]), SpillFile::kBlockBytes);  // the last one
  for (size_t i = tickets.size(); i-- > 0;) store.take(tickets[i]);
  EXPECT_LE(cached_bytes(files[0]), 2 * SpillFile::kBlockBytes);  // the kernel reads ahead
}

TEST_F(OnDisk, FreesATensorOnceItIsWritten) {
  ActivationStore store(options());
  at::Tensor tensor = random_bytes(kMebibyte);
  const auto ticket = store.put(tensor);
  while (store.bytes_in_ram() > 0) usleep(100);
  EXPECT_EQ(tensor.use_count(), 1u);
  EXPECT_EQ(tensor.storage().use_count(), 1u);
  expect_same(store.take(ticket), tensor);
}

TEST_F(OnDisk, ReadsTheOneBeforeAheadOfItsTake) {
  ActivationStore store(options());
  const at::Tensor tensor = random_bytes(kMebibyte);
  const auto first = store.put(tensor), second = store.put(random_bytes(kMebibyte));
  while (store.bytes_in_ram() > 0) usleep(100);
  store.take(second);
  while (store.bytes_read() < 2 * kMebibyte) usleep(100);
  expect_same(store.take(first), tensor);
}

TEST_F(OnDisk, LeavesNoFileInTheFolder) {
  ActivationStore store(options());
  store.put(random_bytes(kMebibyte));
  while (store.bytes_in_ram() > 0) usleep(100);
  EXPECT_TRUE(std::filesystem::is_empty(folder_.path()));
  EXPECT_EQ(unnamed_files(folder_.path()).size(), 1u);
}

TEST_F(OnDisk, MayBeDestroyedWhileItWrites) {
  {
    ActivationStore store(options());
    for (int i = 0; i < 3; ++i) store.put(random_bytes(3 * SpillFile::kBlockBytes));
  }
  EXPECT_TRUE(unnamed_files(folder_.path()).empty());
}

TEST_F(OnDisk, TellsADamagedBlockAndGivesBackTheRest) {
  ActivationStore store(options());
  at::Tensor whole = random_bytes(kMebibyte);
  const auto first = store.put(whole), damaged = store.put(random_bytes(kMebibyte)),
             last = store.put(whole);
  while (store.bytes_in_ram() > 0) usleep(100);
  const auto files = unnamed_files(folder_.path());
  ASSERT_EQ(files.size(), 1u);
  const int file = open(files[0].c_str(), O_RDWR);
  uint8_t byte = 0;
  ASSERT_EQ(pread(file, &byte, 1, kMebibyte + 4567), 1);
  byte ^= 16;
  ASSERT_EQ(pwrite(file, &byte, 1, kMebibyte + 4567), 1);
  close(file);

  expect_same(store.take(last), whole);
  EXPECT_THAT(error_of([&] { store.take(damaged); }, ExitCode::kFailure),
              AllOf(HasSubstr(folder_.path().string()), HasSubstr("byte 1048576"),
                    HasSubstr("not what was written")));
  expect_same(store.take(first), whole);
}

/// No file grows beyond `bytes` while it lives: a disk that is full, without being root.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    getrlimit(RLIMIT_FSIZE, &before_);
    rlimit limit = before_;
    limit.rlim_cur = bytes;
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }

 private:
  rlimit before_;
  void (*handler_)(int);
};

/// Takes again after the error of another write that was under way.
at::Tensor take_in_the_end(ActivationStore& store, ActivationStore::Ticket ticket) {
  for (int tries = 0;; ++tries) {
    try {
      return store.take(ticket);
    } catch (const Error&) {
      if (tries == 10) throw;
    }
  }
}

TEST_F(OnDisk, AFullDiskIsAnErrorThatLosesNothing) {
  ActivationStore store(options());
  at::Tensor fits = random_bytes(kMebibyte), does_not = random_bytes(4 * kMebibyte);
  FileSizeLimit limit(2 * kMebibyte);
  std::vector<std::pair<ActivationStore::Ticket, at::Tensor>> kept;
  const auto put = [&](const at::Tensor& tensor) { kept.emplace_back(store.put(tensor), tensor); };
  const auto put_until_it_fails = [&] {
    put(fits);
    put(does_not);
    for (int i = 0; i < 3; ++i) put(fits);  // waits for one of two to be written
  };
  EXPECT_THAT(error_of(put_until_it_fails, ExitCode::kFailure),
              AllOf(HasSubstr(folder_.path().string()), HasSubstr("File too large"),
                    HasSubstr("are free"), HasSubstr("memory.offload_ram")));
  ASSERT_GE(kept.size(), 2u);
  for (const auto& [ticket, tensor] : kept) expect_same(take_in_the_end(store, ticket), tensor);
  expect_same(take_in_the_end(store, store.put(fits)), fits);
}

TEST(ActivationStore, AFolderThatCannotBeMadeIsNamed) {
  ActivationStore store({.ram_bytes = 0, .directory = "/proc/none"});
  const auto puts = [&] {
    for (int i = 0; i < 4; ++i) store.put(at::zeros({4}));
  };
  EXPECT_THAT(error_of(puts, ExitCode::kFailure), HasSubstr("/proc/none"));
}

TEST(ActivationStore, WithoutADiskSaysWhatDoesNotFit) {
  ActivationStore store({.ram_bytes = 100});
  at::Tensor kept = at::zeros({20});
  const auto ticket = store.put(kept);
  EXPECT_THAT(error_of([&] { store.put(kept); }, ExitCode::kOutOfMemory),
              AllOf(HasSubstr("80 B"), HasSubstr("100 B"), HasSubstr("memory.offload")));
  expect_same(store.take(ticket), kept);
  EXPECT_NO_THROW(store.put(kept));
}

TEST(ActivationStore, GivesEachTensorOnce) {
  ActivationStore store({});
  const auto ticket = store.put(at::zeros({4}));
  store.take(ticket);
  EXPECT_THROW(store.take(ticket), std::logic_error);
}

}  // namespace
}  // namespace longspan
