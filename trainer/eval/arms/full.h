#pragma once

#include "trainer/eval/arms/reading_arm.h"

namespace longspan {

/// The model as it was opened reads all of the text.
class FullArm : public ReadingArm {
 public:
  std::string_view name() const override { return "full"; }
};

}  // namespace longspan
