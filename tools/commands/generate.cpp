#include "src/model/generate.h"

#include <algorithm>
#include <cstdio>
#include <set>

#include "checkpoints/hf/special_tokens.h"
#include "src/core/log.h"
#include "src/core/stopwatch.h"
#include "src/core/text.h"
#include "src/model/context_length.h"
#include "tools/commands/commands.h"
#include "tools/support/memory_option.h"
#include "tools/support/open_model.h"
#include "tools/support/output_file.h"
#include "tools/support/read_text.h"
#include "tools/support/shared_options.h"

namespace longspan {

namespace {

constexpr Option kGenerateArguments[] = {
    kModelArgument,
};
constexpr Option kGenerateOptions[] = {
    {"prompt", "TEXT", "", "text to continue"},
    {"file", "FILE", "", "file with the text to continue"},
    {"max-new-tokens", "N", "128", "stop after so many"},
    {"temperature", "X", "0", "0 is greedy"},
    {"top-p", "P", "1", "sample from the smallest set of tokens with this mass"},
    {"seed", "N", "0", "of the sampling"},
};

std::string read_prompt(const Arguments& arguments) {
  if (arguments.given("prompt") + arguments.given("file") != 1) {
    fail(ExitCode::kUsage,
         "longspan generate: give either --prompt TEXT or --file FILE; see longspan generate -h");
  }
  if (arguments.given("prompt")) return repaired_text(arguments["prompt"], "--prompt");
  return read_text(arguments["file"]);
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

GenerateOptions read_generate_options(const Arguments& arguments) {
  return {.max_new_tokens = arguments.number<int64_t>("max-new-tokens"),
          .temperature = arguments.number<double>("temperature"),
          .top_p = arguments.number<double>("top-p"),
          .seed = arguments.number<uint64_t>("seed")};
}

/// The tokens that generation_config.json ends a text with, as transformers does: those of an
/// instruction-tuned model are often more than its config.json names.
std::set<int64_t> stop_tokens_of(const ModelSource& source) {
  constexpr const char* kName = "generation_config.json";
  const auto ids = eos_token_ids_of(source.side_json(kName), source.path().string() + "/" + kName);
  return {ids.begin(), ids.end()};
}

void warn_beyond_context(int64_t prompt, int64_t new_tokens, const CausalLm& model) {
  const ModelConfig& config = model.config();
  const int64_t usable = context_length(config).usable;
  if (model.attention().rope_length(prompt + new_tokens) <= usable) return;
  if (auto other = other_context_length(config); other && new_tokens <= other->usable - prompt) {
    return log_warning("{} tokens: {}", human_count(prompt + new_tokens),
                       ask_for_original_length(config, *other));
  }
  log_warning(
      "a prompt of {} tokens and {} new ones go beyond the model's context of {}; its text is not "
      "to be trusted there (--rope extends it, --max-new-tokens stops before)",
      human_count(prompt), human_count(new_tokens), human_count(usable));
}

int run_generate(const Arguments& arguments) {
  std::string text = read_prompt(arguments);
  GenerateOptions generate_options = read_generate_options(arguments);
  check_generate_options(generate_options);
  require_cache(arguments, "generate");
  if (arguments.given("save-memory")) {
    require_output(arguments["save-memory"], {arguments["model"]});
  }

  OpenedModel opened = open_model(arguments);
  ModelState state = open_memory(arguments, opened);
  auto tokenizer = open_tokenizer(opened);
  generate_options.never = ids_without_token(*tokenizer, opened.model->config().vocab_size);
  std::vector<int32_t> ids = tokenizer->encode(text);
  std::vector<int64_t> prompt(ids.begin(), ids.end());
  const auto bos = bos_token_of(*opened.source, opened.model->config());
  if (bos && state.length() == 0) prompt.insert(prompt.begin(), *bos);

  const std::set<int64_t> stop_tokens = stop_tokens_of(*opened.source);
  const int64_t loaded = state.length();
  warn_beyond_context(loaded + std::ssize(prompt), generate_options.max_new_tokens, *opened.model);
  const bool saves = arguments.given("save-memory");
  announce_reading(arguments, *opened.model, loaded,
                   std::ssize(prompt) + (saves ? 0 : generate_options.max_new_tokens));
  if (saves) {
    prefill(*opened.model, prompt, state, generate_options.prefill_chunk_tokens);
    write_memory(arguments, opened, state);
    return 0;
  }

  TextStream stream(*tokenizer);
  Stopwatch stopwatch;
  double prefill_seconds = 0;
  int64_t count = 0;
  const auto on_token = [&](int64_t id) {
    if (stop_tokens.contains(id)) return false;
    if (count++ == 0) prefill_seconds = stopwatch.restart();
    stream.push(id);
    return std::ferror(stdout) == 0;
  };
  generate(*opened.model, prompt, generate_options, on_token, &state);
  stream.finish();
  if (count == 0) prefill_seconds = stopwatch.restart();
  const double decode = stopwatch.seconds();
  log_info("prompt {} tokens in {:.1f} s, {} new tokens{}", prompt.size(), prefill_seconds, count,
           count > 1 ? fmt::format(", {:.1f} tokens/s", (count - 1) / decode) : "");
  return 0;
}

}  // namespace

constinit const Command kGenerateCommand{
    .name = "generate",
    .summary = "continue a prompt",
    .description = "Continue a prompt; the text goes to stdout as it comes.",
    .example =
        "  longspan generate runs/quickstart/merged --prompt 'The history of Rome' "
        "--max-new-tokens 64",
    .arguments = kGenerateArguments,
    .options = {kGenerateOptions, kMemoryOptions, kModelOptions},
    .run = run_generate,
};

}  // namespace longspan
