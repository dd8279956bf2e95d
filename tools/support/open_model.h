#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "checkpoints/adapters/peft_adapter.h"
#include "checkpoints/model_source.h"
#include "data/tokenizers/tokenizer.h"
#include "src/model/causal_lm.h"
#include "tools/support/arguments.h"

namespace longspan {

/// A model ready to run, with what the options made of it.
struct OpenedModel {
  std::unique_ptr<ModelSource> base;     // of an adapter, which `source` reads; else null
  std::unique_ptr<PeftAdapter> adapter;  // the same
  std::unique_ptr<ModelSource> source;   // what the model and its tokenizer are on disk
  std::unique_ptr<CausalLm> model;
  Json rope_before;  // config_entry() of the model on disk
  Json rope_after;   // and of what runs
};

/// Another model, with --dtype, --quantization and --device and none of the other options.
OpenedModel open_plain_model(const Arguments& arguments, const std::filesystem::path& model);

/// Throws Error(kUsage) where --attention has no key/value cache, which `what` needs.
void require_cache(const Arguments& arguments, std::string_view what);

/// Opens the model the options name and puts adapter, RoPE scaling and attention on it. What does
/// not suit the model on disk is for `before_weights` to refuse: they may take minutes to read.
/// Errors carry kUsage for an option and kModel for a file.
OpenedModel open_model(const Arguments& arguments,
                       const std::function<void(const ModelSource& model)>& before_weights = {});

/// The tokenizer that lies beside the model. Throws Error(kModel) when there is none, or when it
/// has ids that the model lacks.
std::unique_ptr<Tokenizer> open_tokenizer(const OpenedModel& opened);

/// The id that the tokenizer of this model puts before a text, if it does; see added_bos_token.
std::optional<int64_t> bos_token_of(const ModelSource& source, const ModelConfig& config);

/// Uses as many threads as --threads says, if it does.
void set_threads(const Arguments& arguments);

/// "float32" or "bfloat16", as --dtype takes them.
at::ScalarType parse_dtype(const std::string& name);

/// "none", "nf4" or "int8", as --quantization takes them.
Quantization parse_quantization(const std::string& name);

}  // namespace longspan
