#include "trainer/eval/arms/reading_arm.h"

#include <c10/core/ScalarType.h>

#include "trainer/eval/arms/arm_flops.h"
#include "trainer/eval/arms/cached_reading.h"
#include "trainer/eval/arms/model_change.h"
#include "trainer/eval/arms/whole_length_reading.h"
#include "trainer/eval/window_loss.h"

namespace longspan {

std::vector<double> ReadingArm::target_nll(const EvalSubject& subject,
                                           const std::vector<int64_t>& ids, int64_t targets) {
  const ModelChange restored(subject.model);
  change(subject.model, std::ssize(ids));
  return window_losses(subject.model, ids, targets);
}

std::unique_ptr<Reading> ReadingArm::read_passage(const EvalSubject& subject,
                                                  const Passage& passage, int64_t length) {
  const ModelChange restored(subject.model);
  change(subject.model, length);
  const bool keeps_state = subject.model.attention().make_state(/*layer=*/0) != nullptr;
  if (keeps_state) return std::make_unique<CachedReading>(subject, passage, *this, length);
  return std::make_unique<WholeLengthReading>(subject, passage, *this, length);
}

double ReadingArm::flops(CausalLm& model, int64_t length, int64_t tokens_read) const {
  const ModelChange restored(model);
  change(model, length);
  return reading_flops(model.config(), model.attention(), tokens_read);
}

int64_t ReadingArm::kv_bytes(CausalLm& model, int64_t tokens_read) const {
  const ModelChange restored(model);
  change(model, tokens_read);
  if (!model.attention().make_state(/*layer=*/0)) return 0;
  return key_value_bytes(model.config(), model.attention(), tokens_read, bits_of_key(model));
}

double ReadingArm::bits_of_key(const CausalLm& model) const {
  return 8.0 * static_cast<double>(c10::elementSize(model.dtype()));
}

}  // namespace longspan
