#include "src/model/generate.h"

#include <cstdio>
#include <set>

#include "checkpoints/hf/special_tokens.h"
#include "src/core/log.h"
#include "src/core/stopwatch.h"
#include "src/core/text.h"
#include "tools/support/open_model.h"

namespace longspan {

namespace {

constexpr std::string_view kGenerateExample =
    "  longspan generate runs/quickstart/merged --prompt 'The history of Rome' --max-new-tokens 64";

std::string read_prompt(const cxxopts::ParseResult& parsed) {
  if (parsed.count("prompt") + parsed.count("file") != 1) {
    fail(ExitCode::kUsage,
         "longspan generate: give either --prompt TEXT or --file FILE; see longspan generate -h");
  }
  if (parsed.count("prompt")) return parsed["prompt"].as<std::string>();
  return read_file(parsed["file"].as<std::string>(), ExitCode::kData);
}

/// How many leading bytes of `text` are whole UTF-8 characters.
size_t whole_characters(std::string_view text) {
  for (size_t back = 1; back <= std::min<size_t>(3, text.size()); ++back) {
    auto byte = static_cast<unsigned char>(text[text.size() - back]);
    if (byte < 0x80) break;
    size_t length = byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : byte >= 0xC0 ? 2 : 1;
    if (length > 1) return back < length ? text.size() - back : text.size();
  }
  return text.size();
}

/// Prints tokens as they come, a character only once all its bytes are there.
class TextStream {
 public:
  explicit TextStream(const Tokenizer& tokenizer) : tokenizer_(tokenizer) {}

  void push(int64_t id) {
    pending_ += tokenizer_.decode({static_cast<int32_t>(id)}, true);
    write(whole_characters(pending_));
  }
  void finish() {
    write(pending_.size());
    std::fputc('\n', stdout);
    std::fflush(stdout);
  }

 private:
  void write(size_t bytes) {
    std::fwrite(pending_.data(), 1, bytes, stdout);
    std::fflush(stdout);
    pending_.erase(0, bytes);
  }

  const Tokenizer& tokenizer_;
  std::string pending_;
};

GenerateOptions read_generate_options(const cxxopts::ParseResult& parsed) {
  return {.max_new_tokens = number_of<int64_t>(parsed, "max-new-tokens"),
          .temperature = number_of<double>(parsed, "temperature"),
          .top_p = number_of<double>(parsed, "top-p"),
          .seed = number_of<uint64_t>(parsed, "seed")};
}

/// The tokens that generation_config.json ends a text with, as transformers does: those of an
/// instruction-tuned model are often more than its config.json names.
std::set<int64_t> stop_tokens_of(const ModelSource& source) {
  constexpr const char* kName = "generation_config.json";
  const auto ids = eos_token_ids_of(source.side_json(kName), source.path().string() + "/" + kName);
  return {ids.begin(), ids.end()};
}

void warn_beyond_context(int64_t prompt, int64_t new_tokens, const ModelConfig& config) {
  if (new_tokens <= config.max_position_embeddings - prompt) return;
  log_warning(fmt::format(
      "a prompt of {} tokens and {} new ones go beyond the model's context of {}; its text is not "
      "to be trusted there (--rope extends it, --max-new-tokens stops before)",
      human_count(prompt), human_count(new_tokens), human_count(config.max_position_embeddings)));
}

}  // namespace

int generate_command(int argc, char** argv) {
  cxxopts::Options options("longspan generate",
                           "Continue a prompt; the text goes to stdout as it comes.\n");
  add_model_options(options);
  options.add_options()("prompt", "text to continue", cxxopts::value<std::string>(), "TEXT")(
      "file", "file with the text to continue", cxxopts::value<std::string>(), "FILE")(
      "max-new-tokens", "stop after so many", cxxopts::value<std::string>()->default_value("128"),
      "N")("temperature", "0 is greedy", cxxopts::value<std::string>()->default_value("0"), "X")(
      "top-p", "sample from the smallest set of tokens with this mass",
      cxxopts::value<std::string>()->default_value("1"),
      "P")("seed", "of the sampling", cxxopts::value<std::string>()->default_value("0"), "N");
  options.parse_positional({"model"});
  auto parsed = parse_command_line(options, argc, argv, kGenerateExample);
  if (!parsed) return 0;
  std::string text = read_prompt(*parsed);
  GenerateOptions generate_options = read_generate_options(*parsed);
  check_generate_options(generate_options);
  require_cache(*parsed, "generate");

  OpenedModel opened = open_model(*parsed);
  auto tokenizer = open_tokenizer(opened);
  generate_options.never = ids_without_token(*tokenizer, opened.model->config().vocab_size);
  std::vector<int32_t> ids = tokenizer->encode(text);
  std::vector<int64_t> prompt(ids.begin(), ids.end());
  if (auto bos = bos_token_of(*opened.source, opened.model->config())) {
    prompt.insert(prompt.begin(), *bos);
  }

  const std::set<int64_t> stop_tokens = stop_tokens_of(*opened.source);
  warn_beyond_context(static_cast<int64_t>(prompt.size()), generate_options.max_new_tokens,
                      opened.model->config());

  TextStream stream(*tokenizer);
  Stopwatch stopwatch;
  double prefill = 0;
  int64_t count = 0;
  generate(*opened.model, prompt, generate_options, [&](int64_t id) {
    if (stop_tokens.contains(id)) return false;
    if (count++ == 0) prefill = stopwatch.restart();
    stream.push(id);
    return std::ferror(stdout) == 0;
  });
  stream.finish();
  if (count == 0) prefill = stopwatch.restart();
  const double decode = stopwatch.seconds();
  log_info(fmt::format("prompt {} tokens in {:.1f} s, {} new tokens{}", prompt.size(), prefill,
                       count,
                       count > 1 ? fmt::format(", {:.1f} tokens/s", (count - 1) / decode) : ""));
  return 0;
}

}  // namespace longspan
