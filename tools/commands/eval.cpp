#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <utility>
#include <vector>

#include "src/core/atomic_file.h"
#include "src/core/fields.h"
#include "src/core/log.h"
#include "src/core/text.h"
#include "src/model/context_length.h"
#include "tools/commands/commands.h"
#include "tools/support/eval_provenance.h"
#include "tools/support/eval_suite.h"
#include "tools/support/json_lines.h"
#include "tools/support/memory_option.h"
#include "tools/support/models_of_arms.h"
#include "tools/support/open_model.h"
#include "tools/support/output_file.h"
#include "tools/support/shared_options.h"
#include "tools/support/task_options.h"
#include "trainer/eval/eval_budget.h"
#include "trainer/eval/eval_run.h"
#include "trainer/eval/report_page.h"
#include "trainer/eval/report_text.h"
#include "trainer/eval/triangle.h"

namespace longspan {

namespace {

std::vector<std::string> keys_and_defaults() {
  std::vector<std::string> keys = eval_task_keys();
  for (auto& key : eval_arm_keys()) keys.push_back(std::move(key));
  return keys;
}

constexpr Option kEvalArguments[] = {
    kModelArgument,
    {"text", "[FILE...]", "", "documents, as --text"},
};
constexpr Option kEvalOptions[] = {
    {"task", "TASK,...", "perplexity", "what to measure", "Tasks", eval_tasks},
    {"lengths", "LIST", "4096,8192", "context lengths in tokens", "Tasks"},
    {"suite", "SUITE", "",
     "tasks, lengths and keys under one name, where the other options do not say", "Tasks",
     eval_suites},
    {"budget", "TIME", "",
     "leave out items, then lengths, so that all takes no longer: 90s, 10m, 2h", "Tasks"},
    {"arm", "NAME,...", "full",
     "how the model reads; NAME=ARM is an arm under another name; every arm gets the same items",
     "Tasks", eval_arms},
    {"model-of-arm", "ARM=MODEL...", "",
     "another model for an arm, smaller or quantised, with the same tokenizer; may be given again",
     "Tasks"},
    {"set", "NAME.KEY=VALUE...", "",
     "a key of a task or arm, as in --set passkey.trials=5; may be given again; a factor, budget "
     "or "
     "count of 0 is chosen by the length or the model; keys and defaults",
     "Tasks", keys_and_defaults},
    {"text", "FILE...", "",
     "documents, for all tasks that read some: .txt .md .tex .jsonl, each also .gz .zst; files, "
     "folders, globs",
     kItemOptions},
    {"documents", "N", "0", "use the first N that are long enough; 0: all", kItemOptions},
    {"items", "FILE...", "", "questions of the task jsonl, a JSON object a line", kItemOptions},
    {"seed", "N", "0", "of all that is drawn", kItemOptions},
    {"targets", "N", "512", "scored tokens a document, the same at every length", "perplexity"},
    {"depths", "LIST", "0,0.25,0.5,0.75,1", "where the key stands, 0 to 1", "passkey"},
    {"trials", "N", "3", "keys a length and depth", "passkey"},
    {"label", "NAME", "", "name in tables and pages (default: the model's file name)", "Results"},
    {"out", "FILE.json", "", "write the result here, for longspan report", "Results"},
    {"html", "FILE.html", "", "write a page with the curves here", "Results"},
    {"items-out", "FILE.jsonl", "",
     "write the items that are asked, for another program to ask and score: context, question, "
     "answers, metric, references",
     "Results"},
    {"answers-out", "FILE.jsonl", "",
     "write a line of provenance, what each arm answered (text, score, loss, rank), and behind "
     "each task "
     "its protocol",
     "Results"},
    {"json", "", "", "print the result as JSON instead of tables", "Results"},
};

EvalOptions read_eval_options(const Arguments& arguments) {
  EvalOptions options;
  std::string lengths = arguments["lengths"];
  if (arguments.given("suite") && !arguments.given("lengths")) {
    lengths = find_eval_suite(arguments["suite"]).lengths;
  }
  options.lengths = parse_lengths(lengths, "--lengths");
  std::sort(options.lengths.begin(), options.lengths.end());
  options.lengths.erase(std::unique(options.lengths.begin(), options.lengths.end()),
                        options.lengths.end());
  return options;
}

std::string default_label(const std::string& model) {
  return without_trailing_slash(model).filename().string();
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

/// Refuses a file to write that would replace what is read or another of them, or that no file can
/// be, before hours of work.
void check_outputs(const Arguments& arguments, const EvalTasks& tasks) {
  std::vector<std::filesystem::path> inputs;
  for (const char* option : {"model", "adapter", "rope"}) {
    if (arguments.given(option)) inputs.emplace_back(arguments[option]);
  }
  for (const auto& task : tasks) {
    for (const auto& file : task->inputs()) inputs.push_back(file);
  }
  std::vector<std::pair<std::string, std::filesystem::path>> outputs;
  for (const char* option : {"out", "html", "items-out", "answers-out"}) {
    if (!arguments.given(option)) continue;
    outputs.emplace_back(option, arguments[option]);
    require_output(outputs.back().second, inputs);
  }
  require_outputs_apart(outputs);
}

void check_choice(const Arguments& arguments, const EvalChoice& choice,
                  const EvalOptions& options) {
  for (const auto& task : choice.tasks) {
    task->check(options);
    if (task->needs_cache()) require_cache(arguments, task->name());
    const auto does = [&](const NamedArm& arm) { return arm.does(*task); };
    if (std::ranges::any_of(choice.arms, does)) continue;
    fail(ExitCode::kUsage, "--arm: none of these takes part in {}: it {}; add full", task->name(),
         choice.arms.front().obstacle(*task));
  }
  check_outputs(arguments, choice.tasks);
}

/// Counts what there is to do, and writes what is asked where --items-out says.
std::vector<EvalWork> count_work(const Arguments& arguments, const DrawnTasks& drawn,
                                 const EvalSubject& subject, const std::vector<NamedArm>& arms) {
  if (!arguments.given("items-out")) return work_of(drawn, subject, arms);
  JsonLines lines(arguments["items-out"]);
  auto work = work_of(drawn, subject, arms, [&](const AskedItem& asked) { lines.add(asked.line); });
  lines.commit("the items");
  return work;
}

/// What --budget chose before, as the journal has it at `place`.
BudgetedRun read_budgeted(const Json& chosen, const std::string& place) {
  Diagnostics diagnostics(place);
  Fields fields(chosen, diagnostics);
  BudgetedRun run;
  fields.required("lengths", run.lengths);
  fields.required("share", run.share);
  fields.optional("dropped", run.dropped);
  if (run.lengths.empty()) fields.error("lengths", "is empty; remove the file");
  diagnostics.throw_if_any(ExitCode::kCheckpoint);
  return run;
}

/// What a budget was asked for; what it leaves out follows from all of it.
std::string budget_question(const Arguments& arguments, const std::vector<NamedArm>& arms,
                            const DrawnTasks& drawn, const EvalOptions& options) {
  Json tasks = Json::object(), labels = Json::array();
  for (const auto& task : drawn) tasks[std::string(task->task().name())] = task->task().write();
  for (const NamedArm& arm : arms) labels.push_back(arm.label);
  return json_line({{"budget", arguments["budget"]},
                    {"tasks", tasks},
                    {"arms", labels},
                    {"lengths", options.lengths}});
}

/// Leaves out what --budget has no time for, and returns it in words. A run that goes on keeps what
/// it chose before.
std::vector<std::string> apply_budget(const Arguments& arguments, const std::vector<NamedArm>& arms,
                                      const EvalSubject& subject, AnswerJournal& journal,
                                      DrawnTasks& drawn, EvalOptions& options) {
  const std::string question = budget_question(arguments, arms, drawn, options);
  BudgetedRun run;
  std::string takes;
  if (const Json* chosen = journal.find(question)) {
    run = read_budgeted(*chosen, journal.place_of(question));
    for (const auto& task : drawn) task->keep(run.lengths.back(), run.share);
  } else {
    const double seconds = parse_duration(arguments["budget"], "--budget");
    run = keep_budget(drawn, subject, arms, options.lengths, journal, seconds);
    takes = "; takes about " + human_duration(run.seconds);
    journal.add(question,
                {{"lengths", run.lengths}, {"share", run.share}, {"dropped", run.dropped}});
  }
  log_info("--budget {}: left out: {}{}", arguments["budget"],
           run.dropped.empty() ? "nothing" : join(run.dropped, ", "), takes);
  options.lengths = run.lengths;
  return run.dropped;
}

/// Runs the tasks in turn. --out is written after each: what is done is not lost when a later one
/// fails.
void run_tasks(const DrawnTasks& drawn, EvalRun& run, const Arguments& arguments,
               EvalResult& result, JsonLines* answers) {
  for (const auto& task : drawn) {
    const TaskResult& done = result.tasks.emplace_back(run.run(*task));
    if (answers) answers->add({{"task", done.task}, {"protocol", done.protocol}});
    result.provenance["arms"] = run.costs();
    if (!arguments.given("out")) continue;
    const auto out = arguments["out"];
    write_json_file(out, result.write());
    log_info("wrote {} to {}", task->task().name(), out);
  }
}

/// Beside --out, so that a run that was killed goes on.
AnswerJournal open_journal(const Arguments& arguments, const Json& provenance) {
  if (!arguments.given("out")) return {};
  AnswerJournal journal(arguments["out"] + ".journal", answer_identity(provenance));
  if (journal.size() > 0) {
    log_info("goes on: {} answers are in {}", journal.size(), journal.path().string());
  }
  return journal;
}

/// The tables of the tasks, and what the arms take where there are several.
std::string shown_in_terminal(const EvalResult& result,
                              const std::vector<TaskComparison>& comparisons, size_t arms) {
  std::string text = text_report({result}, comparisons);
  if (arms < 2) return text;
  for (const Table& table : cost_tables(standings_of({result}, comparisons))) {
    text += "\n" + text_table(table);
  }
  return text;
}

void show_result(const Arguments& arguments, const EvalResult& result, size_t arms) {
  auto comparisons = compare({result});
  fmt::print("{}", arguments.given("json") ? json_text(result.write()) + "\n"
                                           : shown_in_terminal(result, comparisons, arms));
  if (!arguments.given("html")) return;
  const auto html = arguments["html"];
  write_file(html, report_page({result}, comparisons));
  log_info("wrote {}", html);
}

int run_eval(const Arguments& arguments) {
  EvalOptions options = read_eval_options(arguments);
  EvalChoice choice = read_eval_choice(arguments, kEvalOptions);
  check_choice(arguments, choice, options);
  if (arguments.given("budget")) parse_duration(arguments["budget"], "--budget");

  OpenedModel opened = open_model(arguments);
  auto tokenizer = open_tokenizer(opened);
  EvalSubject subject{*opened.model, *tokenizer,
                      bos_token_of(*opened.source, opened.model->config())};
  const ModelsOfArms others = open_models_of_arms(arguments, *tokenizer, choice.arms);
  check_arms(choice.arms, subject);
  warn_beyond_limit(options, *opened.model);
  announce_memory_of_arms(choice.arms, subject, options.lengths.back());

  EvalResult result;
  result.label = arguments.given("label") ? arguments["label"] : default_label(arguments["model"]);
  result.provenance = eval_provenance(arguments, opened, *tokenizer, choice.arms, others);
  AnswerJournal journal = open_journal(arguments, result.provenance);
  DrawnTasks drawn = draw_tasks(choice.tasks, subject, options);
  if (arguments.given("budget")) {
    const auto left_out = apply_budget(arguments, choice.arms, subject, journal, drawn, options);
    result.provenance["budget"] = {{"time", arguments["budget"]}, {"left_out", left_out}};
  }
  std::optional<JsonLines> answers;
  if (arguments.given("answers-out")) {
    answers.emplace(arguments["answers-out"]).add({{"provenance", result.provenance}});
  }
  EvalRun run(subject, choice.arms, options.lengths,
              count_work(arguments, drawn, subject, choice.arms), journal, [&](const Json& answer) {
                if (answers) answers->add(answer);
              });
  run_tasks(drawn, run, arguments, result, answers ? &*answers : nullptr);
  if (answers) answers->commit("the answers");
  journal.remove();
  show_result(arguments, result, choice.arms.size());
  return 0;
}

}  // namespace

constinit const Command kEvalCommand{
    .name = "eval",
    .summary = "loss and retrieval by context length, for one or many ways of reading",
    .description =
        "Loss and retrieval by context length, by one or more arms: ways to read a text that is "
        "longer than the model is at home with. With --out a run that was stopped goes on where "
        "it was when the same command is given again.",
    .example =
        "  longspan eval smollm2 --task passkey --arm full,yarn,retrieval --lengths 4K,16K \\\n"
        "      --set retrieval.chunk_tokens=128 --out arms.json\n"
        "  longspan eval runs/quickstart/merged --task perplexity,passkey --lengths "
        "4096,8192,16384 "
        "\\\n"
        "      --text book.txt --label trained --out trained.json --html trained.html",
    .arguments = kEvalArguments,
    .options = {kEvalOptions, kModelOptions},
    .run = run_eval,
};

}  // namespace longspan
