#pragma once

#include <memory>
#include <optional>

#include "src/rope/rope_scaling.h"

namespace longspan {

// One formula a file; its line in rope_scaling.cpp makes it known by name.
std::unique_ptr<RopeScaling> make_default_rope();
std::unique_ptr<RopeScaling> make_linear_rope();
std::unique_ptr<RopeScaling> make_dynamic_rope();
std::unique_ptr<RopeScaling> make_ntk_rope();
std::unique_ptr<RopeScaling> make_yarn_rope();
std::unique_ptr<RopeScaling> make_longrope_rope();
std::unique_ptr<RopeScaling> make_llama3_rope();

/// `factor`, a number from 1 on; missing is an error.
void factor_field(FieldsIo& io, double& factor);

/// `original_max_position_embeddings`, written as null where it is not known.
void original_length_field(FieldsIo& io, std::optional<int64_t>& original);

/// `attention_factor`, where it is not the formula's.
void attention_factor_field(FieldsIo& io, std::optional<double>& factor);

/// rope_theta * stretch^(head_dim / (head_dim - 2)): the lowest frequency is divided by `stretch`,
/// the highest keeps its value ("NTK-aware"). Throws Error(kModel) when head_dim is 2.
double ntk_rope_theta(const RopeGeometry& geometry, double stretch);

}  // namespace longspan
