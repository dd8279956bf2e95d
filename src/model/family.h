#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "src/core/fields.h"
#include "src/model/model_config.h"

namespace longspan {

/// A family of models, transformers' model_type: what its config.json says beyond LLaMA's. All run
/// as one Decoder.
struct Family {
  std::string_view model_type;
  std::string_view architecture;  // the class in transformers
  /// Reads shape and options with transformers' defaults for absent keys; `config.source` holds the
  /// whole config.json. RoPE and special tokens are read for all families alike.
  void (*read)(Fields& fields, ModelConfig& config);
  /// transformers reads no other scaling in this family: the others must be stated as longrope.
  bool only_longrope = false;
};

/// The families there are, and one of them. An unknown model_type throws Error(kModel) that lists
/// the known ones.
std::vector<std::string> model_types();
const Family& family_of(std::string_view model_type);

}  // namespace longspan
