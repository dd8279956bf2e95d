#include "trainer/eval/arms/truncate.h"

#include <algorithm>

namespace longspan {

void TruncateArm::fields(FieldsIo& io) {
  io.choice("keep", keep_, {"ends", "head", "tail", "middle"},
            "the part that stays; `ends` is half the head and half the tail, as LongBench cuts");
  ReducingArm::fields(io);
}

std::vector<TokenRange> TruncateArm::keep(const EvalSubject&, const LongContext& context) {
  const int64_t size = context.size(), budget = std::min(context.budget, size);
  if (budget == size) return {{0, size}};
  if (keep_ == "head") return {{0, budget}};
  if (keep_ == "tail") return {{size - budget, size}};
  if (keep_ == "middle") return {{(size - budget) / 2, (size - budget) / 2 + budget}};
  return {{0, budget / 2}, {size - (budget - budget / 2), size}};
}

}  // namespace longspan
