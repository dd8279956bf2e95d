#include <algorithm>
#include <cmath>

#include "checkpoints/weights_fingerprint.h"
#include "data/store/tokens_fingerprint.h"
#include "src/core/log.h"
#include "src/core/text.h"
#include "src/model/context_length.h"
#include "tools/commands/commands.h"
#include "tools/support/open_model.h"
#include "tools/support/open_store.h"
#include "tools/support/output_file.h"
#include "tools/support/shared_options.h"
#include "trainer/document_score.h"
#include "trainer/eval/answer_journal.h"
#include "trainer/figures/table.h"

namespace longspan {

namespace {

constexpr Option kDataScoreArguments[] = {
    kModelArgument,
};
constexpr Option kDataScoreOptions[] = {
    {"data", "STORE", "", "token store of longspan prepare", kRequired},
    {"out", "FILE.jsonl", "", "write a line of JSON a document here", kRequired},
    {"length", "N", "", "tokens of a passage (default: the model's context)"},
    {"short", "N", "", "tokens of the short context (default: a quarter of the length)"},
    {"step", "N", "", "tokens that a short window predicts (default: half of the short context)"},
    {"passages", "N", "0", "of a document at most, spread over it; 0: all"},
    {"state", "FILE", "", "known scores, to go on from (default: FILE.jsonl.state)"},
    {"json", "", "", "print the lines instead of a table"},
    {"force", "", "", "replace an older FILE.jsonl that this did not write"},
};

DocumentScoreOptions read_options(const Arguments& arguments, const ModelConfig& config) {
  const auto length_of = [&](const char* name, int64_t by_default) {
    const std::string option = fmt::format("--{}", name);
    return arguments.given(name) ? parse_length(arguments[name], option) : by_default;
  };
  DocumentScoreOptions options;
  options.length = length_of("length", context_length(config).usable);
  options.short_context.tokens = length_of("short", std::max<int64_t>(1, options.length / 4));
  options.short_context.step =
      length_of("step", std::max<int64_t>(1, options.short_context.tokens / 2));
  options.passages = arguments.number<int64_t>("passages");
  if (options.passages < 0) {
    fail(ExitCode::kUsage, "--passages: {} is negative, expected a count, or 0 for all",
         options.passages);
  }
  if (short_windows(options.length, options.short_context).empty()) {
    fail(ExitCode::kUsage,
         "--short {} --step {}: are all the context that passages of {} tokens (--length) have; "
         "expected less in all",
         options.short_context.tokens, options.short_context.step, options.length);
  }
  return options;
}

/// All that decides a score besides the document.
Json identity_of(const Arguments& arguments, const OpenedModel& opened, const TokenStore& store,
                 const DocumentScoreOptions& options) {
  Json attention = write_attention_pattern(opened.model->attention());
  attention.erase("mem_dir");
  return {{"weights_sha256", weights_fingerprint(*opened.source)},
          {"rope", opened.rope_after},
          {"attention", attention},
          {"dtype", arguments["dtype"]},
          {"quantization", arguments["quantization"]},
          {"tokens_sha256", tokens_fingerprint(store)},
          {"length", options.length},
          {"short", options.short_context.tokens},
          {"step", options.short_context.step},
          {"passages", options.passages}};
}

struct ScoredDocument {
  int64_t document = 0;  // its number in the store
  double score = 0;
};

Json line_of(const TokenStore& store, const ScoredDocument& scored) {
  const StoredDocument& document = store.documents()[static_cast<size_t>(scored.document)];
  return {{"document", scored.document},
          {"name", document.name},
          {"tokens", document.tokens},
          {"score", scored.score}};
}

std::string lines_of(const TokenStore& store, const std::vector<ScoredDocument>& all) {
  std::string text;
  for (const auto& scored : all) {
    text += json_line(line_of(store, scored)) + "\n";
  }
  return text;
}

/// The highest first.
void print_table(const TokenStore& store, std::vector<ScoredDocument> all) {
  constexpr size_t kMost = 40;
  std::stable_sort(all.begin(), all.end(),
                   [](const auto& a, const auto& b) { return a.score > b.score; });
  Table table{.title = "What far context tells of each document (nats a token)",
              .header = {"document", "tokens", "score"}};
  for (size_t i = 0; i < std::min(kMost, all.size()); ++i) {
    const auto& document = store.documents()[static_cast<size_t>(all[i].document)];
    table.rows.push_back(
        {document.name, human_count(document.tokens), fmt::format("{:.5f}", all[i].score)});
  }
  fmt::print("{}", text_table(table));
  if (all.size() > kMost) {
    fmt::print("and {} more, down to {:.5f}\n", human_count(std::ssize(all) - int64_t{kMost}),
               all.back().score);
  }
}

int run_data_score(const Arguments& arguments) {
  const std::string out = arguments["out"];
  const std::string state = arguments.given("state") ? arguments["state"] : out + ".state";
  require_output(out, {arguments["data"], arguments["model"]});
  require_output(state, {arguments["data"], arguments["model"]});
  require_outputs_apart({{"out", out}, {"state", state}});
  const bool is_ours = !arguments.given("state") && std::filesystem::exists(state);
  if (!is_ours) require_new_output(out, arguments);
  std::shared_ptr<const TokenStore> store;
  OpenedModel opened = open_model(
      arguments, [&](const ModelSource& model) { store = open_store(arguments["data"], model); });
  const DocumentScoreOptions options = read_options(arguments, opened.model->config());
  AnswerJournal journal(state, identity_of(arguments, opened, *store, options));
  const auto& documents = store->documents();
  log_info("{} documents in passages of {} tokens, short context {} to {}; {} scores are known",
           human_count(std::ssize(documents)), human_count(options.length),
           human_count(options.short_context.tokens),
           human_count(options.short_context.tokens + options.short_context.step - 1),
           journal.size());
  std::vector<ScoredDocument> all;
  for (int64_t i = 0; i < std::ssize(documents); ++i) {
    const StoredDocument& document = documents[static_cast<size_t>(i)];
    const double score = journal.number({{"document", i}}, [&] {
      const DocumentScore found = score_document(*opened.model, *store, document, options);
      if (!std::isfinite(found.score)) {
        fail(ExitCode::kNonFinite,
             "{}: its score is {}; try --dtype float32, or look at the model "
             "with 'longspan inspect'",
             document.name, found.score);
      }
      log_info("{}: {:.5f}, {} of {} tokens with far context", document.name, found.score,
               human_count(found.with_far), human_count(found.predicted));
      return found.score;
    });
    all.push_back({i, score});
  }
  write_file(out, lines_of(*store, all));
  if (arguments.given("json")) {
    fmt::print("{}", lines_of(*store, all));
  } else {
    print_table(*store, all);
  }
  return 0;
}

}  // namespace

constinit const Command kDataScoreCommand{
    .name = "data-score",
    .summary = "which documents of a token store gain from far context",
    .description =
        "Score each document of a token store by what far context tells of it (LongFilter, Deng et "
        "al. 2025): the mean over its tokens of exp(-L) (S - L), where L is the token's loss in a "
        "passage and S that with a short context alone. `data.scores` of a recipe then trains on "
        "the highest alone. It costs forward passes over short / step + 2 times the tokens. "
        "Stopped, it goes on where it was when it is run again.",
    .example =
        "  longspan data-score models/smollm2 --data books.h5 --out scores.jsonl --short 2K\n"
        "  longspan train recipe.yaml data.scores=scores.jsonl data.keep_share=0.3",
    .arguments = kDataScoreArguments,
    .options = {kDataScoreOptions, kModelOptions},
    .run = run_data_score,
};

}  // namespace longspan
