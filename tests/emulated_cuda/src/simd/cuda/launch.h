#pragma once

#include <ATen/core/Tensor.h>
#include <math.h>  // NOLINT: exp and the like outside of std, as CUDA has them
#include <ucontext.h>

#include <algorithm>
#include <cstddef>
#include <functional>
#include <type_traits>
#include <vector>

// Stands for src/simd/cuda/launch.h where the kernels of the CUDA plugin are compiled as C++: the
// threads of a block take turns on one of the CPU's, from one barrier to the next, and blocks come
// one after another. What a GPU does at the same time is not shown by it, nor how fast it is.

#define __device__
#define __global__
#define __shared__ static  // of the block at work

namespace longspan::emulated {

struct Place {
  unsigned x = 1, y = 1, z = 1;

  Place() = default;
  Place(unsigned x, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}  // NOLINT: as dim3
};

/// The block at work. Its threads are contexts of their own, and a barrier goes back to run().
class Block {
 public:
  void run(Place threads, const std::function<void()>& body) {
    body_ = &body;
    contexts_.resize(std::max<size_t>(contexts_.size(), threads.x * threads.y * threads.z));
    waiting_ = threads.x * threads.y * threads.z;
    for (unsigned i = 0; i < waiting_; ++i) contexts_[i].begin();
    for (unsigned all = waiting_; waiting_ > 0;) {
      for (thread_ = 0; thread_ < all; ++thread_) {
        if (contexts_[thread_].is_done) continue;
        place_ = {thread_ % threads.x, thread_ / threads.x % threads.y,
                  thread_ / threads.x / threads.y};
        swapcontext(&here_, &contexts_[thread_].context);
      }
    }
  }

  /// All threads come here before one goes on.
  void wait() { swapcontext(&contexts_[thread_].context, &here_); }

  unsigned thread() const { return thread_; }
  const Place& place() const { return place_; }

 private:
  struct Context {
    ucontext_t context = {};
    std::vector<char> stack = std::vector<char>(size_t{64} << 10);
    bool is_done = false;

    void begin() {
      getcontext(&context);
      context.uc_stack.ss_sp = stack.data();
      context.uc_stack.ss_size = stack.size();
      makecontext(&context, enter, 0);
      is_done = false;
    }
  };

  static void enter();

  const std::function<void()>* body_ = nullptr;
  std::vector<Context> contexts_;
  ucontext_t here_ = {};
  Place place_;
  unsigned thread_ = 0, waiting_ = 0;
};

inline Block block;

inline void Block::enter() {
  (*block.body_)();
  block.contexts_[block.thread_].is_done = true;
  --block.waiting_;
  block.wait();
}

}  // namespace longspan::emulated

using dim3 = longspan::emulated::Place;
inline dim3 blockIdx, blockDim, gridDim;
#define threadIdx (longspan::emulated::block.place())

inline void __syncthreads() { longspan::emulated::block.wait(); }

/// The value of the thread whose number differs in these bits.
template <class T>
T __shfl_xor_sync(unsigned, T value, unsigned bits) {
  static T values[1024];
  const unsigned own = longspan::emulated::block.thread();
  values[own] = value;
  __syncthreads();
  const T other = values[own ^ bits];
  __syncthreads();
  return other;
}

inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fmul_rn(float a, float b) { return a * b; }

namespace c10::cuda {

struct CUDAGuard {
  explicit CUDAGuard(at::Device) {}
};

}  // namespace c10::cuda

#include "src/simd/cuda/threads.h"

namespace longspan::cuda {

template <class... Parameters>
void launch(void (*kernel)(Parameters...), dim3 grid, dim3 block,
            std::type_identity_t<Parameters>... arguments) {
  gridDim = grid;
  blockDim = block;
  for (blockIdx.z = 0; blockIdx.z < grid.z; ++blockIdx.z) {
    for (blockIdx.y = 0; blockIdx.y < grid.y; ++blockIdx.y) {
      for (blockIdx.x = 0; blockIdx.x < grid.x; ++blockIdx.x) {
        emulated::block.run(block, [&] { kernel(arguments...); });
      }
    }
  }
}

}  // namespace longspan::cuda
