#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <string>

namespace longspan {

/// Something with parameters. Names are Hugging Face's state-dict names, in its order, so that
/// import and export are copies. No torch::nn::Module: its header alone costs 12 s a file.
class Module {
 public:
  using ParameterVisitor = std::function<void(const std::string& name, at::Tensor& parameter)>;

  Module() = default;
  Module(const Module&) = delete;
  Module& operator=(const Module&) = delete;
  virtual ~Module() = default;

  /// Calls visit(prefix + own name, parameter) for each parameter. A model is born with parameters
  /// on the meta device (shapes, no memory); the importer assigns the real ones through here.
  virtual void visit_parameters(const std::string& prefix, const ParameterVisitor& visit) = 0;
};

/// A parameter that has a shape and no memory yet.
at::Tensor unloaded_parameter(at::IntArrayRef shape);

}  // namespace longspan
