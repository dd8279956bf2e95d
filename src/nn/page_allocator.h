#pragma once

#include <cstdint>

namespace longspan {

/// Gives large tensors of the CPU (1 MiB and more) whole pages of the kernel, huge ones where it
/// has them. In glibc's heap blocks of many sizes would lie between tensors that stay for long, and
/// leave holes of a good part of what a training step keeps.
///
/// Pages of a freed tensor stay for the next one of about its size: the faults of new pages cost
/// more than the arithmetic on them. They are given back once tensors and freed pages together
/// would exceed the most that tensors ever had, so that resident memory is no more than live
/// tensors need at their peak.
///
/// A tensor that needs more than the machine has left (memory and swap) is a c10::OutOfMemoryError:
/// the kernel would promise the pages, and kill the process that touches them. Promised pages that
/// no tensor has touched are not counted, nor is the limit of a container: reading that limit takes
/// too long for each tensor, and the plan looks at it.
///
/// Holds for tensors made from now on, to the end of the process. May be called again.
void use_page_allocator();

/// Lets the scratch of LibTorch's libraries stay in glibc's heap for what is needed next.
void keep_freed_scratch();

/// What the page allocator holds, in bytes; all 0 before use_page_allocator().
struct PageUse {
  int64_t live = 0;       // pages of live tensors
  int64_t freed = 0;      // pages that wait for the next tensor
  int64_t peak_live = 0;  // the most that live tensors had at one time
};
PageUse page_use();

/// Gives back the pages that wait, for what takes its memory elsewhere: a model has gone to a GPU.
void give_back_freed_pages();

}  // namespace longspan
