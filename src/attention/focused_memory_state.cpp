#include "src/attention/focused_memory_state.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/tensor.h>
#include <fmt/format.h>

#include <stdexcept>
#include <utility>

#include "src/attention/memory_file.h"

namespace longspan {

namespace {

std::shared_ptr<KeyValueCache> forked(const KeyValueCache& cache) {
  return std::static_pointer_cast<KeyValueCache>(cache.fork());
}

/// A cache of the last `tokens` of x alone.
std::shared_ptr<KeyValueCache> cache_of_last(const KeysAndValues& x, int64_t tokens) {
  auto cache = std::make_shared<KeyValueCache>();
  const int64_t first = x.k.size(2) - tokens;
  cache->read(0, x.k.narrow(2, first, tokens), x.v.narrow(2, first, tokens));
  cache->commit();
  return cache;
}

}  // namespace

FocusedMemoryState::FocusedMemoryState(const FocusedMemoryOptions& options, int64_t layer)
    : options_(options),
      is_memory_layer_(options.is_memory_layer(layer)),
      now_{ReadingWindows(options.lengths),
           std::make_shared<KeyValueCache>(),
           std::make_shared<KeyValueCache>(),
           {},
           PageIndex(options.search_page_tokens)} {
  if (is_memory_layer_ && !options.mem_dir.empty()) {
    file_ = std::make_shared<MemoryFile>(options.mem_dir);
  }
}

const FocusedMemoryState::Moment& FocusedMemoryState::moment(int64_t first_position) const {
  if (first_position == length()) return now_;
  if (before_ && first_position == before_->windows.length()) return *before_;
  throw std::logic_error(
      fmt::format("FocusedMemoryState: a pass begins at position {}, after {} tokens",
                  first_position, length()));
}

std::vector<int64_t> FocusedMemoryState::begin_pass(int64_t first_position, int64_t tokens,
                                                    int64_t sequence_length) {
  ReadingWindows windows = moment(first_position).windows;
  std::vector<int64_t> begins = windows.read(tokens, sequence_length);
  if (first_position == length()) {
    pass_ = Pass{windows, begins, {}, {}, at::GradMode::is_enabled()};
  }
  return begins;
}

int64_t FocusedMemoryState::first_key(int64_t first_position) const {
  return moment(first_position).windows.open_begin();
}

KeysAndValues FocusedMemoryState::read(int64_t first_position, const at::Tensor& k,
                                       const at::Tensor& v) {
  if (first_position == length() && !pass_) {
    begin_pass(first_position, k.size(2), first_position + k.size(2));
  }
  const Moment& at = moment(first_position);
  const KeysAndValues all = at.open->read(first_position - at.windows.open_begin(), k, v);
  if (first_position == length()) pass_->open = all;
  return all;
}

KeysAndValues FocusedMemoryState::read_first(int64_t first_position, const at::Tensor& first_k,
                                             const at::Tensor& v) {
  const Moment& at = moment(first_position);
  const KeysAndValues all =
      at.open_first->read(first_position - at.windows.open_begin(), first_k, v);
  if (first_position == length()) pass_->open_first = all;
  return all;
}

void FocusedMemoryState::remember(std::shared_ptr<const MemoryBlock> block) {
  if (options_.search_pages > 0) now_.index = now_.index.with(*block);
  now_.memory.push_back(std::move(block));
}

/// What the pass closed becomes memory; the window that it leaves open begins caches of its own.
void FocusedMemoryState::close_windows(const ReadingWindows& after) {
  const int64_t open = after.length() - after.open_begin();
  if (is_memory_layer_) {
    const int64_t first = now_.windows.open_begin();
    const KeysAndValues& keys = pass_->open_first;
    int64_t begin = first;
    for (const int64_t next : pass_->begins) {
      if (next == begin) continue;
      const int64_t tokens = next - begin;
      remember(std::make_shared<const MemoryBlock>(
          KeysAndValues{keys.k.detach().narrow(2, begin - first, tokens),
                        keys.v.detach().narrow(2, begin - first, tokens)},
          options_.mem_dtype, file_.get()));
      begin = next;
    }
    now_.open_first = cache_of_last(keys, open);
  }
  now_.open = cache_of_last(pass_->open, open);
}

void FocusedMemoryState::commit() {
  if (!pass_) return;
  const at::NoGradGuard no_gradients;
  if (pass_->has_gradients) {
    before_ = now_;
  } else {
    before_.reset();
  }
  const ReadingWindows after = pass_->windows;
  if (after.open_begin() == now_.windows.open_begin()) {
    now_.open->commit();
    now_.open_first->commit();
  } else {
    close_windows(after);
  }
  now_.windows = after;
  pass_.reset();
}

std::shared_ptr<LayerState> FocusedMemoryState::fork() const {
  auto other = std::make_shared<FocusedMemoryState>(*this);
  other->pass_.reset();
  other->before_.reset();
  other->now_.open = forked(*now_.open);
  other->now_.open_first = forked(*now_.open_first);
  return other;
}

std::map<std::string, at::Tensor> FocusedMemoryState::tensors() const {
  std::map<std::string, at::Tensor> all;
  const auto put = [&](const std::string& name, const at::Tensor& tensor) {
    if (tensor.defined()) all[name] = tensor;
  };
  put("windows", at::tensor({now_.windows.length(), now_.windows.open_begin(),
                             static_cast<int64_t>(now_.memory.size())},
                            at::kLong));
  for (const auto& [name, cache] :
       {std::pair{"open", now_.open}, {"open_first", now_.open_first}}) {
    const KeysAndValues kept = cache->committed();
    put(fmt::format("{}.k", name), kept.k);
    put(fmt::format("{}.v", name), kept.v);
  }
  for (size_t i = 0; i < now_.memory.size(); ++i) {
    const MemoryBlock& block = *now_.memory[i];
    for (const auto& [name, x] : {std::pair{"k", block.stored_k()}, {"v", block.stored_v()}}) {
      put(fmt::format("memory.{}.{}.codes", i, name), x.codes);
      put(fmt::format("memory.{}.{}.scales", i, name), x.scales);
      put(fmt::format("memory.{}.{}.offsets", i, name), x.offsets);
    }
  }
  return all;
}

void FocusedMemoryState::restore(const std::map<std::string, at::Tensor>& tensors,
                                 at::Device device) {
  const at::NoGradGuard no_gradients;
  const auto optional = [&](const std::string& name) {
    const auto found = tensors.find(name);
    return found == tensors.end() ? at::Tensor() : found->second;
  };
  const at::Tensor& numbers = tensors.at("windows");
  const auto number = [&](int64_t i) { return numbers[i].item<int64_t>(); };
  now_.windows = ReadingWindows(options_.lengths, number(0), number(1));
  const auto cache_of = [&](const std::string& name) {
    const auto part = [&](const char* which) { return tensors.at(name + which).to(device); };
    return cache_of_last({part(".k"), part(".v")}, number(0) - number(1));
  };
  now_.open = cache_of("open");
  if (!is_memory_layer_) return;
  now_.open_first = cache_of("open_first");
  const int64_t head_dim = now_.open->committed().k.size(3);
  const auto placed = [&](const at::Tensor& x) { return x.defined() && !file_ ? x.to(device) : x; };
  for (int64_t i = 0; i < number(2); ++i) {
    const auto part = [&](const char* name) {
      const std::string prefix = fmt::format("memory.{}.{}.", i, name);
      return Remembered{placed(tensors.at(prefix + "codes")), placed(optional(prefix + "scales")),
                        placed(optional(prefix + "offsets"))};
    };
    remember(std::make_shared<const MemoryBlock>(part("k"), part("v"), head_dim));
  }
}

}  // namespace longspan
