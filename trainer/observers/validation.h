#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "data/store/loader.h"
#include "src/core/fields_io.h"
#include "trainer/observer.h"

namespace longspan {

struct ValidationOptions {
  std::string path = "";  // a token store; empty: no validation
  int64_t every_steps = 100;
  int64_t sequences = 8;  // rows drawn over the documents of the store, always the same
  int64_t seq_len = 0;    // 0: that of the longest stage
};

/// The keys of a recipe's `validation` map.
void fields(FieldsIo& io, ValidationOptions& options);

/// Every so many steps and after the last one: the mean loss over the labelled tokens of
/// `sequences` rows, with full attention, or the stage's own where that belongs to the model, and
/// the RoPE of the current stage. Fills in StepRecord::validation_loss, so it is added before the
/// observers that show it.
class Validation : public Observer {
 public:
  /// `loader` gives rows one at a time, not shuffled. No label in any of them throws Error(kData).
  Validation(const ValidationOptions& options, std::shared_ptr<const Loader> loader);

  void step_ended(Trainer& trainer, StepRecord& record) override;

 private:
  ValidationOptions options_;
  std::shared_ptr<const Loader> loader_;
  std::vector<int64_t> rows_;
};

}  // namespace longspan
