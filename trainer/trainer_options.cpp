#include "trainer/trainer_options.h"

#include <limits>

namespace longspan {

void fields(FieldsIo& io, TrainerOptions& options) {
  io.number("max_grad_norm", options.max_grad_norm, {0, 1e9},
            "gradients are scaled down to this norm; 0: never");
  auto seed = static_cast<int64_t>(options.seed);
  io.whole("seed", seed, {0, std::numeric_limits<int64_t>::max()},
           "of LoRA's start and of the order of the data");
  options.seed = static_cast<uint64_t>(seed);
  io.whole("loss_chunk_tokens", options.loss_chunk_tokens, {1, 1 << 20},
           "rows of logits that exist at a time; on a GPU at least a gigabyte of them");
  io.whole("threads", options.threads, {0, 1024}, "of the processor; 0: one a core");
  io.flag(
      "deterministic", options.deterministic,
      "`true`: a GPU gives the same bits each time, as a CPU does anyway, so that a resumed run "
      "does; attention's backward is slower then, and takes more memory",
      {.written = options.deterministic || !io.writing()});
  io.flag("interleave", options.interleave,
          "`true`: the stages take turns step by step, each in proportion to its `steps`, in place "
          "of one after the other",
          {.written = options.interleave || !io.writing()});
}

}  // namespace longspan
