#include "trainer/eval/arms/position_arms.h"

#include <algorithm>

#include "src/model/context_length.h"
#include "trainer/eval/arms/dual_chunk_attention.h"
#include "trainer/eval/arms/string_attention.h"

namespace longspan {

namespace {

constexpr int64_t kMostPositions = int64_t{1} << 30;

}  // namespace

void StringArm::fields(FieldsIo& io) {
  io.whole("shift", shift_, {0, kMostPositions}, "distance from which on keys are moved nearer",
           {.otherwise = "a third of the model's length, or more where the text is longer"});
  io.whole("local", local_, {1, kMostPositions}, "distance to which they are moved");
  if (shift_ > 0 && shift_ < local_) {
    io.error("shift", "is less than local, expected more: keys would be moved further");
  }
}

void StringArm::change(CausalLm& model, int64_t length) const {
  const int64_t usable = context_length(model.config()).usable;
  // Near keys keep their distance up to the shift: beyond a half of the text that would be further.
  const int64_t least = std::min(length + local_ - usable, (length + local_) / 2);
  const int64_t shift = shift_ > 0 ? shift_ : std::max({usable / 3, least, local_});
  model.set_attention(std::make_shared<StringAttention>(shift, local_));
}

void DualChunkArm::fields(FieldsIo& io) {
  io.whole("chunk_tokens", chunk_tokens_, {0, kMostPositions}, "tokens of a chunk",
           {.otherwise = "three quarters of the model's length, less a sixteenth"});
}

void DualChunkArm::change(CausalLm& model, int64_t) const {
  const int64_t usable = context_length(model.config()).usable;
  const int64_t farthest = 3 * usable / 4, near = usable / 16;  // ChunkLlama's
  const int64_t chunk = chunk_tokens_ > 0 ? chunk_tokens_ : std::max<int64_t>(1, farthest - near);
  model.set_attention(
      std::make_shared<DualChunkAttention>(chunk, chunk_tokens_ > 0 ? chunk + near : farthest));
}

}  // namespace longspan
