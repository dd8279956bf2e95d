#pragma once

#include <ATen/core/Tensor.h>

#include <functional>

namespace longspan {

/// Runs layer(x) and keeps only x: backward runs the layer once more with gradients and goes
/// through it (Chen et al. 2016, arXiv 1604.06174). Parameters inside the layer receive their
/// gradients there. Without gradient mode it is layer(x). `layer` must stay callable, and give
/// the same result, until backward is done.
at::Tensor recompute(const std::function<at::Tensor(const at::Tensor&)>& layer,
                     const at::Tensor& x);

}  // namespace longspan
