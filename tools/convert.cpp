#include "checkpoints/dtype.h"
#include "checkpoints/hf_exporter.h"
#include "src/core/log.h"
#include "src/core/text.h"
#include "tools/command.h"

namespace longspan {

namespace {

constexpr std::string_view kExample =
    "  longspan convert SmolLM2-135M-Instruct.Q4_1.gguf models/smollm2 --dtype bfloat16";

}  // namespace

int convert_command(int argc, char** argv) {
  cxxopts::Options options("longspan convert",
                           "Write a GGUF file or a model folder as a Hugging Face folder.\n");
  options.add_options()("input", "GGUF file or Hugging Face folder", cxxopts::value<std::string>())(
      "output", "folder to write", cxxopts::value<std::string>())(
      "dtype", "bfloat16, float16 or float32 (default: the input's, bfloat16 for quantised ones)",
      cxxopts::value<std::string>(), "DTYPE")(
      "shard-size", "largest file of weights", cxxopts::value<std::string>()->default_value("5GB"),
      "SIZE")("force", "replace the model in OUT")("h,help", "this help");
  options.parse_positional({"input", "output"});
  options.positional_help("IN OUT");
  auto parsed = parse_command_line(options, argc, argv, kExample);
  if (!parsed) return 0;
  if (!parsed->count("output")) {
    fail(ExitCode::kUsage, "longspan convert: expected IN and OUT; see longspan convert -h");
  }
  std::filesystem::path in = (*parsed)["input"].as<std::string>();
  std::filesystem::path out = (*parsed)["output"].as<std::string>();
  std::error_code status;
  if (std::filesystem::equivalent(in, out, status)) {
    fail(ExitCode::kUsage, "{}: is both IN and OUT; give another folder", out.string());
  }
  require_replaceable(out, parsed->count("force") > 0);
  ExportOptions write;
  write.shard_bytes = parse_shard_size((*parsed)["shard-size"].as<std::string>(), "--shard-size");

  auto source = open_model_source(in);
  write.dtype = parsed->count("dtype")
                    ? parse_torch_dtype((*parsed)["dtype"].as<std::string>(), "--dtype")
                    : main_dtype(*source);
  ModelConfig config = read_hf_config(source->config_json(), in.string());
  export_hf(*source, config, out, write);
  log_info(fmt::format("{} -> {} ({}, {})", in.string(), out.string(), config.model_type,
                       torch_dtype(write.dtype)));
  return 0;
}

}  // namespace longspan
