#include <initializer_list>

#include "checkpoints/dtype.h"
#include "checkpoints/gguf/gguf_exporter.h"
#include "checkpoints/hf/hf_config.h"
#include "checkpoints/hf/hf_exporter.h"
#include "src/core/atomic_file.h"
#include "src/core/log.h"
#include "src/core/text.h"
#include "tools/commands/commands.h"
#include "tools/support/arguments.h"
#include "tools/support/output_file.h"
#include "tools/support/shared_options.h"

namespace longspan {

namespace {

namespace fs = std::filesystem;

constexpr Option kConvertArguments[] = {
    {"input", "IN", "", "model folder, GGUF file or hub id ORG/NAME"},
    {"output", "OUT", "", "file.gguf or folder to write"},
};
constexpr Option kConvertOptions[] = {
    {"force", "", "", "replace the model in OUT"},
    {"dtype", "DTYPE", "", "of the weights (default: the input's, bfloat16 if quantised)",
     "A folder", written_dtypes},
    {"shard-size", "SIZE", "5GB", "its largest file of weights", "A folder"},
    {"type", "TYPE", "", "of the weights (default: the input's, BF16 if quantised)", "A GGUF file",
     gguf_file_types},
};

/// An option of the one kind of OUT given with the other.
void refuse_options(const Arguments& arguments, std::initializer_list<const char*> names,
                    const fs::path& out, const char* what) {
  for (const char* name : names) {
    if (arguments.given(name)) {
      fail(ExitCode::kUsage, "--{}: is for {}; OUT is {}", name, what, out.string());
    }
  }
}

void convert_to_folder(const ModelSource& source, const ModelConfig& config, const fs::path& out,
                       const Arguments& arguments) {
  refuse_options(arguments, {"type"}, out, "a file (OUT with .gguf); --dtype is for a folder");
  require_replaceable(out, arguments.given("force"));
  require_apart(source.path(), out);
  ExportOptions write;
  write.shard_bytes = parse_bytes(arguments["shard-size"], "--shard-size");
  write.dtype = arguments.given("dtype") ? parse_torch_dtype(arguments["dtype"], "--dtype")
                                         : main_dtype(source);
  export_hf(source, config, out, write);
  log_info("{} -> {} ({}, {})", source.path().string(), out.string(), config.model_type,
           torch_dtype(write.dtype));
}

void convert_to_gguf(const ModelSource& source, const ModelConfig& config, const fs::path& out,
                     const Arguments& arguments) {
  refuse_options(arguments, {"dtype", "shard-size"}, out,
                 "a folder (OUT without .gguf); see --type");
  const GgufFileType& type = arguments.given("type")
                                 ? find_gguf_file_type(arguments["type"], "--type")
                                 : gguf_file_type_of(source);
  require_output_file(out, source.files());
  require_new_output(out, arguments);
  export_gguf(source, config, out, type);
  log_info("{} -> {} ({}, {}, {})", source.path().string(), out.string(), config.model_type,
           type.name, human_bytes(fs::file_size(out)));
}

int run_convert(const Arguments& arguments) {
  fs::path in = arguments["input"];
  fs::path out = without_trailing_slash(arguments["output"]);
  if (out.empty()) fail(ExitCode::kUsage, "longspan convert: OUT is empty; give a folder or file");
  std::error_code status;
  if (fs::equivalent(in, out, status)) {
    fail(ExitCode::kUsage, "{}: is both IN and OUT; give another", out.string());
  }
  auto source = open_model_source(in);
  ModelConfig config = read_hf_config(*source);
  if (lower_case(out.extension().string()) == ".gguf") {
    convert_to_gguf(*source, config, out, arguments);
  } else {
    convert_to_folder(*source, config, out, arguments);
  }
  return 0;
}

}  // namespace

constinit const Command kConvertCommand{
    .name = "convert",
    .summary = "a model to a Hugging Face folder or a GGUF file",
    .description =
        "Write a model as a GGUF file for llama.cpp (OUT ends in .gguf) or as a Hugging Face "
        "folder.",
    .example =
        "  longspan convert SmolLM2-135M-Instruct.Q4_1.gguf models/smollm2 --dtype bfloat16\n"
        "  longspan convert models/smollm2-32k smollm2-32k.Q4_K_M.gguf --type Q4_K_M",
    .arguments = kConvertArguments,
    .options = {kConvertOptions},
    .run = run_convert,
};

}  // namespace longspan
