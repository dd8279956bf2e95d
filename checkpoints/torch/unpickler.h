#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "checkpoints/torch/pickled_tensors.h"

namespace longspan {

/// Reads data.pkl of a state dict that torch.save wrote, and runs nothing: the machine knows the
/// opcodes of dicts, tuples, numbers and texts, and the globals OrderedDict, the typed storages,
/// _rebuild_tensor_v2 and _rebuild_parameter. Any other global, a value that is no tensor, and a
/// window that leaves its storage throw Error(kModel) with the name.
/// Format: Lib/pickletools.py of CPython; torch/serialization.py of PyTorch 2.
std::vector<PickledTensor> unpickle_state_dict(std::string_view pickle, const std::string& place);

}  // namespace longspan
