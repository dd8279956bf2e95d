#pragma once

#include <cxxopts.hpp>
#include <memory>
#include <string>

#include "checkpoints/model_source.h"
#include "src/model/causal_lm.h"

namespace longspan {

/// A model, and a text for it to read.
struct ReadModel {
  std::string name;
  std::unique_ptr<ModelSource> source;  // none where its weights are drawn
  std::unique_ptr<CausalLm> model;      // bfloat16, on the CPU
  at::Tensor ids;                       // [1, tokens] int64
};

/// What --model, --random-weights, --layers and --text say, with so many tokens: the first of the
/// text's documents, or drawn where there is none.
ReadModel open_read_model(const cxxopts::ParseResult& parsed, int64_t tokens);

}  // namespace longspan
