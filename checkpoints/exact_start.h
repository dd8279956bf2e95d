#pragma once

#include <ATen/core/Tensor.h>

#include <string>

namespace longspan {

class ModelSource;

/// What a trained parameter of the model begins as, in float32 from the file's own values: the
/// model's copy is rounded to the dtype that it runs in (float16 to bfloat16 loses three bits), and
/// a run that has learnt nothing must merge to the base. A module of modules_to_save, or DoRA's
/// lora_magnitude_vector of a projection; undefined for LoRA's own factors, and for a head that is
/// not in the file.
at::Tensor exact_start(const ModelSource& source, const std::string& parameter);

}  // namespace longspan
