#include <ATen/Parallel.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "data/documents/document_files.h"
#include "data/documents/document_source.h"
#include "src/core/atomic_file.h"
#include "src/core/log.h"
#include "src/core/text.h"
#include "src/core/version.h"
#include "src/model/context_length.h"
#include "tools/support/open_model.h"
#include "tools/support/output_file.h"
#include "trainer/eval/report_page.h"

namespace longspan {

namespace {

constexpr std::string_view kEvalExample =
    "  longspan eval runs/quickstart/merged --task perplexity,passkey --lengths 4096,8192,16384 "
    "\\\n"
    "      --text book.txt --label trained --out trained.json --html trained.html";

cxxopts::Options eval_command_line() {
  cxxopts::Options options("longspan eval", "Loss and passkey retrieval by context length.\n");
  add_model_options(options);
  options.add_options()("task", join(eval_tasks(), ", ") + "; several are separated by commas",
                        cxxopts::value<std::vector<std::string>>()->default_value("perplexity"),
                        "TASK")("lengths", "context lengths in tokens",
                                cxxopts::value<std::string>()->default_value("4096,8192"), "LIST")(
      "label", "name in tables and pages (default: the model's file name)",
      cxxopts::value<std::string>(), "NAME")("out", "write the result here (for longspan report)",
                                             cxxopts::value<std::string>(), "FILE.json")(
      "html", "write a page with the curves here", cxxopts::value<std::string>(), "FILE.html")(
      "json", "print the result as JSON instead of tables");
  options.add_options("perplexity")(
      "text", "documents: .txt .md .jsonl, each also .gz .zst; files, folders, globs",
      cxxopts::value<std::vector<std::string>>(),
      "FILE...")("documents", "use the first N that are long enough (0: all)",
                 cxxopts::value<std::string>()->default_value("0"),
                 "N")("targets", "scored tokens a document, the same at every length",
                      cxxopts::value<std::string>()->default_value("512"), "N");
  options.add_options("passkey")("depths", "where the key stands, 0 to 1",
                                 cxxopts::value<std::string>()->default_value("0,0.25,0.5,0.75,1"),
                                 "LIST")("trials", "keys a length and depth",
                                         cxxopts::value<std::string>()->default_value("3"), "N")(
      "seed", "of the keys", cxxopts::value<std::string>()->default_value("0"), "N");
  options.parse_positional({"model", "text"});
  options.show_positional_help();  // else -h leaves --text out
  return options;
}

EvalOptions read_eval_options(const cxxopts::ParseResult& parsed) {
  EvalOptions options;
  options.lengths = parse_lengths(parsed["lengths"].as<std::string>(), "--lengths");
  std::sort(options.lengths.begin(), options.lengths.end());
  options.lengths.erase(std::unique(options.lengths.begin(), options.lengths.end()),
                        options.lengths.end());
  options.text = values_of(parsed, "text");
  options.documents = number_of<int64_t>(parsed, "documents");
  options.targets = number_of<int64_t>(parsed, "targets");
  options.depths.clear();
  for (const auto& depth : split(parsed["depths"].as<std::string>(), ',')) {
    options.depths.push_back(parse_number<double>(depth, "--depths"));
  }
  options.trials = number_of<int64_t>(parsed, "trials");
  options.seed = number_of<uint64_t>(parsed, "seed");
  return options;
}

std::vector<std::unique_ptr<EvalTask>> read_tasks(const cxxopts::ParseResult& parsed) {
  std::vector<std::unique_ptr<EvalTask>> tasks;
  for (const auto& name : parsed["task"].as<std::vector<std::string>>()) {
    for (const auto& task : tasks) {
      if (task->name() == name) fail(ExitCode::kUsage, "--task: '{}' is there twice", name);
    }
    if (!tasks.emplace_back(make_eval_task(name))) {
      fail(ExitCode::kUsage, "--task: '{}' is not known; expected one of {}", name,
           join(eval_tasks(), ", "));
    }
  }
  return tasks;
}

std::string default_label(const std::string& model) {
  auto path = std::filesystem::path(model).lexically_normal();
  return path.has_filename() ? path.filename().string() : path.parent_path().filename().string();
}

Json provenance(const cxxopts::ParseResult& parsed, const OpenedModel& opened,
                const Tokenizer& tokenizer) {
  const ModelConfig& config = opened.model->config();
  Json attention = {{"pattern", opened.model->attention().name()}};
  attention.update(opened.model->attention().write());
  Json adapter;
  if (parsed.count("adapter")) adapter = parsed["adapter"].as<std::string>();
  return {{"longspan_version", version()},
          {"date", utc_now()},
          {"model", parsed["model"].as<std::string>()},
          {"adapter", adapter},
          {"max_position_embeddings", config.max_position_embeddings},
          {"rope_on_disk", opened.rope_before},
          {"rope", opened.rope_after},
          {"attention", attention},
          {"dtype", parsed["dtype"].as<std::string>()},
          {"quantization", parsed["quantization"].as<std::string>()},
          {"tokenizer_fingerprint", tokenizer.fingerprint()},
          {"device", opened.model->lm_head_weight().device().str()},
          {"threads", at::get_num_threads()},
          {"cpu", cpu_name()}};
}

void warn_beyond_limit(const EvalOptions& options, const ModelConfig& config) {
  int64_t longest = options.lengths.back();
  const int64_t usable = context_length(config).usable;
  if (longest <= usable) return;
  if (auto other = other_context_length(config); other && longest <= other->usable) {
    return log_warning(
        fmt::format("length {}: {}", longest, ask_for_original_length(config, *other)));
  }
  log_warning(fmt::format("length {} is beyond the model's context of {}", longest, usable));
}

/// Refuses an --out or --html that would replace what is read, or that no file can be, before hours
/// of work.
void check_outputs(const cxxopts::ParseResult& parsed, const EvalOptions& options) {
  std::vector<std::filesystem::path> inputs;
  for (const char* option : {"model", "adapter", "rope"}) {
    if (parsed.count(option)) inputs.emplace_back(parsed[option].as<std::string>());
  }
  if (!options.text.empty()) {
    for (const auto& file : find_document_files(options.text)) inputs.emplace_back(file);
  }
  for (const char* option : {"out", "html"}) {
    if (parsed.count(option)) require_output(parsed[option].as<std::string>(), inputs);
  }
  if (parsed.count("out") && parsed.count("html")) {
    const std::filesystem::path out = parsed["out"].as<std::string>();
    const std::filesystem::path html = parsed["html"].as<std::string>();
    if (out.lexically_normal() == html.lexically_normal()) {
      fail(ExitCode::kUsage, "--out and --html: both are {}, expected two files", out.string());
    }
  }
}

/// Runs the tasks in turn. --out is written after each: what is done is not lost when a later one
/// fails.
void run_tasks(const std::vector<std::unique_ptr<EvalTask>>& tasks, const EvalSubject& subject,
               const EvalOptions& options, const cxxopts::ParseResult& parsed, EvalResult& result) {
  for (const auto& task : tasks) {
    result.tasks.push_back(task->run(subject, options));
    if (!parsed.count("out")) continue;
    const auto out = parsed["out"].as<std::string>();
    write_json_file(out, result.write());
    log_info(fmt::format("wrote {} to {}", task->name(), out));
  }
}

}  // namespace

int eval_command(int argc, char** argv) {
  cxxopts::Options options = eval_command_line();
  auto parsed = parse_command_line(options, argc, argv, kEvalExample);
  if (!parsed) return 0;
  EvalOptions eval_options = read_eval_options(*parsed);
  auto tasks = read_tasks(*parsed);
  for (const auto& task : tasks) {
    task->check(eval_options);
    if (task->needs_cache()) require_cache(*parsed, task->name());
  }
  check_outputs(*parsed, eval_options);

  OpenedModel opened = open_model(*parsed);
  auto tokenizer = open_tokenizer(opened);
  EvalSubject subject{*opened.model, *tokenizer,
                      bos_token_of(*opened.source, opened.model->config())};
  warn_beyond_limit(eval_options, opened.model->config());
  EvalResult result;
  result.label = parsed->count("label") ? (*parsed)["label"].as<std::string>()
                                        : default_label((*parsed)["model"].as<std::string>());
  result.provenance = provenance(*parsed, opened, *tokenizer);
  run_tasks(tasks, subject, eval_options, *parsed, result);

  auto comparisons = compare({result});
  fmt::print("{}",
             parsed->count("json") ? json_text(result.write()) + "\n" : text_report(comparisons));
  if (parsed->count("html")) {
    const auto html = (*parsed)["html"].as<std::string>();
    write_file(html, report_page({result}, comparisons));
    log_info(fmt::format("wrote {}", html));
  }
  return 0;
}

}  // namespace longspan
