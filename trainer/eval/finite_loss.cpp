#include "trainer/eval/finite_loss.h"

#include <cmath>

#include "src/core/error.h"

namespace longspan {

void require_finite(double loss, std::string_view task, std::string_view where) {
  if (std::isfinite(loss)) return;
  fail(ExitCode::kNonFinite,
       "{}: the loss {} is not finite; try --dtype float32, or look at the model with 'longspan "
       "inspect'",
       task, where);
}

void require_finite(const std::vector<double>& losses, std::string_view task,
                    std::string_view where) {
  for (const double loss : losses) require_finite(loss, task, where);
}

}  // namespace longspan
