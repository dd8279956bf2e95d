#pragma once

#include <memory>

#include "trainer/figures/table.h"

namespace longspan {

/// While it lives, adds up the CPU time which the thread that made it spends in each of LibTorch's
/// operators and in each autograd node, the operators that these call not counted. What threads of
/// an operator do beside this one takes the same time, as long as they share its work evenly.
class OperatorProfile {
 public:
  OperatorProfile();
  ~OperatorProfile();

  /// Falling shares of the time so far; what is below one in a hundred goes together.
  Table table() const;

 private:
  struct Times;
  std::unique_ptr<Times> times_;
};

}  // namespace longspan
