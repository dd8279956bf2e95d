#include <ATen/Parallel.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "src/core/atomic_file.h"
#include "src/core/log.h"
#include "src/core/text.h"
#include "src/core/version.h"
#include "src/model/context_length.h"
#include "tools/commands/commands.h"
#include "tools/support/memory_option.h"
#include "tools/support/open_model.h"
#include "tools/support/output_file.h"
#include "tools/support/shared_options.h"
#include "tools/support/task_options.h"
#include "trainer/eval/report_page.h"

namespace longspan {

namespace {

std::vector<std::string> keys_and_defaults() {
  std::vector<std::string> keys = eval_task_keys();
  for (auto& key : eval_arm_keys()) keys.push_back(std::move(key));
  return keys;
}

constexpr Option kEvalArguments[] = {
    kModelArgument,
    {"text", "[FILE...]", "", "documents of the task perplexity, as --text"},
};
constexpr Option kEvalOptions[] = {
    {"task", "TASK,...", "perplexity", "what to measure", "Tasks", eval_tasks},
    {"lengths", "LIST", "4096,8192", "context lengths in tokens", "Tasks"},
    {"arm", "NAME,...", "full",
     "how the model reads; NAME=ARM is an arm under another name; every arm gets the same items",
     "Tasks", eval_arms},
    {"set", "NAME.KEY=VALUE...", "",
     "a key of a task or arm, as in --set passkey.trials=5; may be given again; keys and defaults",
     "Tasks", keys_and_defaults},
    {"text", "FILE...", "", "documents: .txt .md .jsonl, each also .gz .zst; files, folders, globs",
     "perplexity"},
    {"documents", "N", "0", "use the first N that are long enough; 0: all", "perplexity"},
    {"targets", "N", "512", "scored tokens a document, the same at every length", "perplexity"},
    {"depths", "LIST", "0,0.25,0.5,0.75,1", "where the key stands, 0 to 1", "passkey"},
    {"trials", "N", "3", "keys a length and depth", "passkey"},
    {"seed", "N", "0", "of the keys", "passkey"},
    {"label", "NAME", "", "name in tables and pages (default: the model's file name)", "Results"},
    {"out", "FILE.json", "", "write the result here, for longspan report", "Results"},
    {"html", "FILE.html", "", "write a page with the curves here", "Results"},
    {"json", "", "", "print the result as JSON instead of tables", "Results"},
};

EvalOptions read_eval_options(const Arguments& arguments) {
  EvalOptions options;
  options.lengths = parse_lengths(arguments["lengths"], "--lengths");
  std::sort(options.lengths.begin(), options.lengths.end());
  options.lengths.erase(std::unique(options.lengths.begin(), options.lengths.end()),
                        options.lengths.end());
  return options;
}

std::string default_label(const std::string& model) {
  auto path = std::filesystem::path(model).lexically_normal();
  return path.has_filename() ? path.filename().string() : path.parent_path().filename().string();
}

Json provenance(const Arguments& arguments, const OpenedModel& opened, const Tokenizer& tokenizer) {
  const ModelConfig& config = opened.model->config();
  Json attention = {{"pattern", opened.model->attention().name()}};
  attention.update(opened.model->attention().write());
  Json adapter;
  if (arguments.given("adapter")) adapter = arguments["adapter"];
  return {{"longspan_version", version()},
          {"date", utc_now()},
          {"model", arguments["model"]},
          {"adapter", adapter},
          {"max_position_embeddings", config.max_position_embeddings},
          {"rope_on_disk", opened.rope_before},
          {"rope", opened.rope_after},
          {"attention", attention},
          {"dtype", arguments["dtype"]},
          {"quantization", arguments["quantization"]},
          {"tokenizer_fingerprint", tokenizer.fingerprint()},
          {"device", opened.model->lm_head_weight().device().str()},
          {"threads", at::get_num_threads()},
          {"cpu", cpu_name()}};
}

/// {"far": {"arm": "retrieval", its keys}}
Json arm_settings(const std::vector<NamedArm>& arms) {
  Json settings = Json::object();
  for (const auto& [label, arm] : arms) {
    Json& keys = settings[label] = {{"arm", arm->name()}};
    keys.update(arm->write());
  }
  return settings;
}

void warn_beyond_limit(const EvalOptions& options, const CausalLm& model) {
  const ModelConfig& config = model.config();
  int64_t longest = options.lengths.back();
  const int64_t usable = context_length(config).usable;
  if (model.attention().rope_length(longest) <= usable) return;
  if (auto other = other_context_length(config); other && longest <= other->usable) {
    return log_warning("length {}: {}", longest, ask_for_original_length(config, *other));
  }
  log_warning("length {} is beyond the model's context of {}", longest, usable);
}

/// Refuses an --out or --html that would replace what is read, or that no file can be, before hours
/// of work.
void check_outputs(const Arguments& arguments, const EvalTasks& tasks) {
  std::vector<std::filesystem::path> inputs;
  for (const char* option : {"model", "adapter", "rope"}) {
    if (arguments.given(option)) inputs.emplace_back(arguments[option]);
  }
  for (const auto& task : tasks) {
    for (const auto& file : task->inputs()) inputs.push_back(file);
  }
  for (const char* option : {"out", "html"}) {
    if (arguments.given(option)) require_output(arguments[option], inputs);
  }
  if (arguments.given("out") && arguments.given("html")) {
    const std::filesystem::path out = arguments["out"];
    const std::filesystem::path html = arguments["html"];
    if (out.lexically_normal() == html.lexically_normal()) {
      fail(ExitCode::kUsage, "--out and --html: both are {}, expected two files", out.string());
    }
  }
}

/// Runs the tasks in turn. --out is written after each: what is done is not lost when a later one
/// fails.
void run_tasks(const EvalChoice& choice, const EvalSubject& subject, const EvalOptions& options,
               const Arguments& arguments, EvalResult& result) {
  for (const auto& task : choice.tasks) {
    result.tasks.push_back(run_task(*task, subject, choice.arms, options));
    if (!arguments.given("out")) continue;
    const auto out = arguments["out"];
    write_json_file(out, result.write());
    log_info("wrote {} to {}", task->name(), out);
  }
}

int run_eval(const Arguments& arguments) {
  EvalOptions eval_options = read_eval_options(arguments);
  const EvalChoice choice = read_eval_choice(arguments, kEvalOptions);
  for (const auto& task : choice.tasks) {
    task->check(eval_options);
    if (task->needs_cache()) require_cache(arguments, task->name());
  }
  check_outputs(arguments, choice.tasks);

  OpenedModel opened = open_model(arguments);
  auto tokenizer = open_tokenizer(opened);
  EvalSubject subject{*opened.model, *tokenizer,
                      bos_token_of(*opened.source, opened.model->config())};
  warn_beyond_limit(eval_options, *opened.model);
  announce_memory(*opened.model, eval_options.lengths.back());
  EvalResult result;
  result.label = arguments.given("label") ? arguments["label"] : default_label(arguments["model"]);
  result.provenance = provenance(arguments, opened, *tokenizer);
  result.provenance["arm_settings"] = arm_settings(choice.arms);
  run_tasks(choice, subject, eval_options, arguments, result);

  auto comparisons = compare({result});
  fmt::print("{}",
             arguments.given("json") ? json_text(result.write()) + "\n" : text_report(comparisons));
  if (arguments.given("html")) {
    const auto html = arguments["html"];
    write_file(html, report_page({result}, comparisons));
    log_info("wrote {}", html);
  }
  return 0;
}

}  // namespace

constinit const Command kEvalCommand{
    .name = "eval",
    .summary = "perplexity and passkey retrieval by context length",
    .description = "Loss and passkey retrieval by context length.",
    .example =
        "  longspan eval runs/quickstart/merged --task perplexity,passkey --lengths "
        "4096,8192,16384 "
        "\\\n"
        "      --text book.txt --label trained --out trained.json --html trained.html",
    .arguments = kEvalArguments,
    .options = {kEvalOptions, kModelOptions},
    .run = run_eval,
};

}  // namespace longspan
