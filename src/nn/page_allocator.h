#pragma once

#include <cstdint>

namespace longspan {

/// Gives large tensors of the CPU (1 MiB and more) whole pages of the kernel, huge ones where it
/// has them, instead of a place in glibc's heap, where blocks of many sizes between tensors that
/// stay for long leave holes: 17 to 45 % of what a training step kept. Pages of a freed tensor stay
/// for the next one of about its size, because the faults of new ones cost more than the arithmetic
/// on them (26-44 ms against 7 ms for silu x mul on 8192 tokens), and are given back as soon as
/// tensors and freed pages together would exceed the most that tensors ever had. So resident memory
/// is what live tensors need at their peak and no more.
///
/// A tensor that needs more than the machine has left (memory and swap) is a c10::OutOfMemoryError:
/// the kernel would promise the pages, and kill the process that touches them. What tensors were
/// promised and have not touched is not counted, nor is the limit of a container, which the plan
/// looks at: reading it takes too long for each tensor.
///
/// For the life of the process, at once for tensors that are made from now on. Call it any number
/// of times.
void use_page_allocator();

/// Lets the scratch of LibTorch's libraries stay in glibc's heap for what is needed next.
void keep_freed_scratch();

/// Of the page allocator, in bytes; all 0 before use_page_allocator().
struct PageUse {
  int64_t live = 0;       // of tensors now
  int64_t freed = 0;      // kept for the next
  int64_t peak_live = 0;  // the most that tensors had at one time
};
PageUse page_use();

}  // namespace longspan
