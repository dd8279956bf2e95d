#pragma once

#include "trainer/eval/tasks/draw.h"
#include "trainer/eval/tasks/item.h"

namespace longspan {

/// Variable tracking: a value given to one variable and handed on four times, among noise; which
/// variables have it is asked. One example before it.
DrawnItem draw_variable_tracking(const EvalSubject& subject, int64_t length, Draw& draw);

/// Common words extraction: a numbered list in which ten words stand 30 times and the others 3
/// times (below 4K: 6 times and once). One example before it. Words are pairs ("quiet-harbor"),
/// where RULER has a list of English words. Error(kUsage) for a length with more words than there
/// are pairs.
DrawnItem draw_common_words(const EvalSubject& subject, int64_t length, Draw& draw);

/// Frequent words extraction: coded words whose counts follow a zeta distribution with alpha 2; the
/// first is written as dots, the next three are asked for.
DrawnItem draw_frequent_words(const EvalSubject& subject, int64_t length, Draw& draw);

}  // namespace longspan
