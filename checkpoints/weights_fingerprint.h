#pragma once

#include <string>

namespace longspan {

class ModelSource;

/// SHA-256 of what a model's tensors are: names, shapes, dtypes, and of each tensor 16 evenly
/// spaced runs of 1 KiB, so that it takes seconds for any model and another training of the same
/// shape is told apart. Of quantised tensors, which are made dense for it, as many as 2^28 numbers,
/// evenly chosen. Order and files do not matter.
std::string weights_fingerprint(const ModelSource& source);

}  // namespace longspan
