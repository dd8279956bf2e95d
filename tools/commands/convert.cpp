#include "checkpoints/dtype.h"
#include "checkpoints/gguf/gguf_exporter.h"
#include "checkpoints/hf/hf_config.h"
#include "checkpoints/hf/hf_exporter.h"
#include "src/core/atomic_file.h"
#include "src/core/log.h"
#include "src/core/text.h"
#include "tools/support/command.h"

namespace longspan {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view kConvertExample =
    "  longspan convert SmolLM2-135M-Instruct.Q4_1.gguf models/smollm2 --dtype bfloat16\n"
    "  longspan convert models/smollm2-32k smollm2-32k.Q4_K_M.gguf --type Q4_K_M";

/// An option of the one kind of OUT given with the other.
void refuse_options(const cxxopts::ParseResult& parsed, std::initializer_list<const char*> names,
                    const fs::path& out, const char* what) {
  for (const char* name : names) {
    if (parsed.count(name)) {
      fail(ExitCode::kUsage, "--{}: is for {}; OUT is {}", name, what, out.string());
    }
  }
}

void convert_to_folder(const ModelSource& source, const ModelConfig& config, const fs::path& out,
                       const cxxopts::ParseResult& parsed) {
  refuse_options(parsed, {"type"}, out, "a file (OUT with .gguf); --dtype is for a folder");
  require_replaceable(out, parsed.count("force") > 0);
  require_apart(source.path(), out);
  ExportOptions write;
  write.shard_bytes = parse_bytes(parsed["shard-size"].as<std::string>(), "--shard-size");
  write.dtype = parsed.count("dtype")
                    ? parse_torch_dtype(parsed["dtype"].as<std::string>(), "--dtype")
                    : main_dtype(source);
  export_hf(source, config, out, write);
  log_info(fmt::format("{} -> {} ({}, {})", source.path().string(), out.string(), config.model_type,
                       torch_dtype(write.dtype)));
}

void convert_to_gguf(const ModelSource& source, const ModelConfig& config, const fs::path& out,
                     const cxxopts::ParseResult& parsed) {
  refuse_options(parsed, {"dtype", "shard-size"}, out, "a folder (OUT without .gguf); see --type");
  const GgufFileType& type = parsed.count("type")
                                 ? find_gguf_file_type(parsed["type"].as<std::string>(), "--type")
                                 : gguf_file_type_of(source);
  if (fs::is_directory(out) || (fs::exists(out) && parsed.count("force") == 0)) {
    fail(ExitCode::kUsage, "{}: {}", out.string(),
         fs::is_directory(out) ? "is a folder; give a file" : "exists; --force replaces it");
  }
  export_gguf(source, config, out, type);
  log_info(fmt::format("{} -> {} ({}, {}, {})", source.path().string(), out.string(),
                       config.model_type, type.name, human_bytes(fs::file_size(out))));
}

}  // namespace

int convert_command(int argc, char** argv) {
  cxxopts::Options options("longspan convert",
                           "Write a model as a GGUF file for llama.cpp (OUT ends in .gguf) or as a "
                           "Hugging Face folder.\n");
  options.add_options()("input", "GGUF file or Hugging Face folder", cxxopts::value<std::string>())(
      "output", "file.gguf or folder to write", cxxopts::value<std::string>())(
      "type",
      "of a GGUF: " + join(gguf_file_types(), ", ") + " (default: the input's, BF16 if quantised)",
      cxxopts::value<std::string>(), "TYPE")(
      "dtype",
      "of a folder: bfloat16, float16 or float32 (default: the input's, bfloat16 if quantised)",
      cxxopts::value<std::string>(),
      "DTYPE")("shard-size", "of a folder: its largest file of weights",
               cxxopts::value<std::string>()->default_value("5GB"),
               "SIZE")("force", "replace the model in OUT")("h,help", "this help");
  options.parse_positional({"input", "output"});
  options.positional_help("IN OUT");
  auto parsed = parse_command_line(options, argc, argv, kConvertExample);
  if (!parsed) return 0;
  if (!parsed->count("output")) {
    fail(ExitCode::kUsage, "longspan convert: expected IN and OUT; see longspan convert -h");
  }
  fs::path in = (*parsed)["input"].as<std::string>();
  fs::path out = without_trailing_slash((*parsed)["output"].as<std::string>());
  if (out.empty()) fail(ExitCode::kUsage, "longspan convert: OUT is empty; give a folder or file");
  std::error_code status;
  if (fs::equivalent(in, out, status)) {
    fail(ExitCode::kUsage, "{}: is both IN and OUT; give another", out.string());
  }
  auto source = open_model_source(in);
  ModelConfig config = read_hf_config(*source);
  if (out.extension() == ".gguf" || out.extension() == ".GGUF") {
    convert_to_gguf(*source, config, out, *parsed);
  } else {
    convert_to_folder(*source, config, out, *parsed);
  }
  return 0;
}

}  // namespace longspan
