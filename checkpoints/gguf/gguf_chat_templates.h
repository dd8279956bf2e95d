#pragma once

#include <string>
#include <utility>
#include <vector>

#include "checkpoints/gguf/gguf.h"
#include "checkpoints/gguf/gguf_writer.h"
#include "checkpoints/model_source.h"

namespace longspan {

/// Sets tokenizer.chat_template, and of a model with several by name tokenizer.chat_templates and
/// tokenizer.chat_template.NAME, as gguf-py does. What is no list of templates throws a nlohmann
/// exception.
void write_gguf_chat_templates(const ModelSource& source, GgufMetadata& metadata);

/// The reverse, as transformers reads it: where the file has one template without a name that is
/// the chat_template of `tokenizer_config`; else all are files, returned as (name, content).
std::vector<std::pair<std::string, std::string>> read_gguf_chat_templates(const GgufReader& gguf,
                                                                          Json& tokenizer_config);

}  // namespace longspan
