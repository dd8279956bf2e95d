#include "checkpoints/safetensors.h"
#include "checkpoints/safetensors_writer.h"
#include "src/core/error.h"
#include "src/core/log.h"
#include "tools/commands/commands.h"
#include "tools/support/open_model.h"
#include "tools/support/output_file.h"
#include "tools/support/shared_options.h"
#include "trainer/eval/logit_comparison.h"

namespace longspan {

namespace {

constexpr Option kLogitsArguments[] = {
    kModelArgument,
};
constexpr Option kLogitsOptions[] = {
    {"ids", "FILE", "", "JSON list of token ids", kRequired},
    {"out", "FILE", "", "safetensors file to write: one float32 tensor 'logits'", kRequired},
};

std::vector<int64_t> read_ids(const std::string& path, int64_t vocab_size) {
  Json json = read_json_file(path, ExitCode::kData);
  if (!json.is_array() || json.empty()) {
    fail(ExitCode::kData, "{}: is not a JSON list of at least one token id", path);
  }
  std::vector<int64_t> ids;
  for (const auto& item : json) {
    bool whole = item.is_number_integer();
    int64_t id = whole ? item.get<int64_t>() : -1;
    if (id < 0 || id >= vocab_size) {
      fail(ExitCode::kData, "{}: entry {} is {}, expected a token id from 0 to {}", path,
           ids.size(), item.dump(-1, ' ', true).substr(0, 40), vocab_size - 1);
    }
    ids.push_back(id);
  }
  return ids;
}

int run_logits(const Arguments& arguments) {
  std::string out = arguments["out"];
  require_output(out, {arguments["ids"], arguments["model"]});

  OpenedModel opened = open_model(arguments);
  std::vector<int64_t> ids = read_ids(arguments["ids"], opened.model->config().vocab_size);
  const at::Tensor logits = last_logits(*opened.model, ids, std::ssize(ids)).cpu();
  write_safetensors(out, {{"logits", logits.contiguous()}});
  log_info("{}: logits [{}, {}]", out, logits.size(0), logits.size(1));
  return 0;
}

}  // namespace

constinit const Command kLogitsCommand{
    .name = "logits",
    .summary = "write the logits of given token ids",
    .description = "Write the logits [T, V] of given token ids.",
    .example =
        "  longspan tokenize smollm2 prompt.txt > ids.json\n"
        "  longspan logits smollm2 --ids ids.json --out logits.safetensors --dtype float32",
    .arguments = kLogitsArguments,
    .options = {kLogitsOptions, kModelOptions},
    .run = run_logits,
};

}  // namespace longspan
