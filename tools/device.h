#pragma once

#include <ATen/core/Tensor.h>

#include <string>

namespace longspan {

/// The device that --device names: cpu; cuda, made ready to be used, or Error(kUsage) that says why
/// it cannot be; auto, which is cuda where that works.
at::Device open_device(const std::string& name);

}  // namespace longspan
