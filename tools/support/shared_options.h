#pragma once

#include "src/attention/attention.h"
#include "tools/support/option.h"

namespace longspan {

// What options take that more than one command has.
std::vector<std::string> devices();          // open_device (src/nn/device.h)
std::vector<std::string> computed_dtypes();  // parse_dtype (tools/support/open_model.h)
std::vector<std::string> written_dtypes();   // parse_torch_dtype (checkpoints/dtype.h)
std::vector<std::string> quantizations();    // parse_quantization (tools/support/open_model.h)
std::vector<std::string> scaled_meanings();  // parse_on_scaled (src/rope/compose_rope.h)

/// Of the commands that compute.
inline constexpr Option kDeviceOption[] = {
    {"device", "DEVICE", "cpu", "auto is cuda where it can be used", "", devices},
};

/// What a RoPE scaling means on a model that is scaled already.
inline constexpr Option kOnScaledOption[] = {
    {"on-scaled", "MEANING", "error", "of a scaling on a model whose RoPE is scaled already", "",
     scaled_meanings},
};

/// What eval, generate and logits share; open_model (tools/support/open_model.h) reads them.
inline constexpr Option kModelArgument = {
    "model", "MODEL", "", "model folder, adapter or run folder, GGUF file or hub id ORG/NAME"};
inline constexpr std::string_view kModelGroup = "The model";
inline constexpr Option kModelOptions[] = {
    {"adapter", "DIR", "", "PEFT adapter folder to put on it", kModelGroup},
    {"rope", "MAP", "",
     "RoPE scaling, e.g. '{rope_type: yarn, factor: 2.0}', or a JSON file with one", kModelGroup},
    {"on-scaled", "MEANING", "error", "what --rope means where RoPE is scaled already", kModelGroup,
     scaled_meanings},
    {"attention", "PATTERN", "",
     "who attends to whom (default: as config.json says, else full), with its keys as in a recipe: "
     "'{pattern: sliding_window, window: 4096, sinks: 4}'; patterns",
     kModelGroup, attention_patterns},
    {"group-size", "N", "", "tokens a group of shifted_sparse", kModelGroup},
    {"dtype", "DTYPE", "bfloat16", "to compute in", kModelGroup, computed_dtypes},
    {"quantization", "KIND", "none", "of the projections' weights", kModelGroup, quantizations},
    {"device", "DEVICE", "cpu", "auto is cuda where it can be used", kModelGroup, devices},
    {"threads", "N", "", "processor threads (default: all)", kModelGroup},
};

}  // namespace longspan
