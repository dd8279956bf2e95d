#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "src/core/fields_io.h"

namespace longspan {

// Some of a model's layers by their numbers from 0, as a key of a pattern names them.

/// A number below 0 and one that stands twice are errors.
void layers_field(FieldsIo& io, std::string_view key, std::vector<int64_t>& layers,
                  std::string_view meaning, const FieldTraits& traits = {});

bool has_layer(const std::vector<int64_t>& layers, int64_t layer);

/// The first of them that a model of num_layers lacks; empty: none. For AttentionPattern::misfit.
std::string misfit_of_layers(std::string_view key, const std::vector<int64_t>& layers,
                             int64_t num_layers);

}  // namespace longspan
