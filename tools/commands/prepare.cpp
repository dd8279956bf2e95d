#include <algorithm>
#include <bit>
#include <map>

#include "data/documents/document_files.h"
#include "data/documents/document_report.h"
#include "data/documents/document_source.h"
#include "data/store/token_store.h"
#include "data/store/token_store_writer.h"
#include "src/core/atomic_file.h"
#include "src/core/json.h"
#include "src/core/log.h"
#include "src/core/part_file.h"
#include "src/core/stop_signal.h"
#include "src/core/stopwatch.h"
#include "src/core/text.h"
#include "tools/commands/commands.h"
#include "tools/support/arguments.h"
#include "tools/support/document_options.h"
#include "tools/support/encode_notes.h"
#include "tools/support/output_file.h"
#include "tools/support/text_model.h"

namespace longspan {

namespace fs = std::filesystem;

namespace {

constexpr Option kPrepareArguments[] = {
    {"input", "INPUT...", "", "documents"},
};
constexpr Option kPrepareOptions[] = {
    {"model,tokenizer", "MODEL", "", "model folder, GGUF file or ORG/NAME", kRequired},
    {"out", "FILE.h5", "", "token store to write", kRequired},
    {"strict", "", "",
     "a bad record, a bad file among others, what is no UTF-8 and characters that no token has are "
     "errors; else they are passed over or repaired, counted and named"},
    {"split-special-tokens", "", "", "special tokens in the text are text, as </s> in a manual"},
    {"add-bos", "", "",
     "begin each document with the bos token (the default when the tokenizer does)"},
    {"no-bos", "", "", "do not"},
    {"add-eos", "", "",
     "end each document with the eos token (the default when the model names one)"},
    {"no-eos", "", "", "do not"},
    {"json", "", "", "print the summary as JSON"},
    {"force", "", "", "replace FILE.h5"},
};

/// What prepare has done so far.
struct Tally {
  int64_t documents = 0, tokens = 0, text_bytes = 0, raw_bytes = 0;
  EncodeNotes notes;
  std::map<int, int64_t> by_length;  // documents of [2^k, 2^(k + 1)) tokens by k

  void add(const Document& document, int64_t ids) {
    ++documents;
    tokens += ids;
    for (const auto& part : document.parts) text_bytes += static_cast<int64_t>(part.text.size());
    raw_bytes += document.raw_bytes;
    if (ids > 0) ++by_length[std::bit_width(static_cast<uint64_t>(ids)) - 1];
  }
};

/// A line on stderr: redrawn on a terminal, now and then elsewhere.
class PrepareProgress {
 public:
  explicit PrepareProgress(int64_t total_raw_bytes) : total_(total_raw_bytes) {}

  double seconds() const { return stopwatch_.seconds(); }
  void show(const Tally& tally) {
    bool terminal = stderr_is_terminal();
    double now = seconds();
    if (now < shown_ + (terminal ? 0.2 : 30.0)) return;
    shown_ = now;
    auto done = static_cast<double>(tally.raw_bytes);
    double left = done > 0 ? now * (static_cast<double>(total_) - done) / done : 0;
    auto line = fmt::format("{:3.0f} %  {} documents  {} tokens  {}/s  {} tokens/s  ETA {}",
                            100 * done / std::max<double>(1, static_cast<double>(total_)),
                            human_count(tally.documents), human_count(tally.tokens),
                            human_bytes(tally.text_bytes / now),
                            human_count(rate(tally.tokens, now)), human_duration(left));
    if (terminal) {
      show_progress(line);
    } else {
      log_info(line);
    }
  }
  static int64_t rate(int64_t count, double seconds) {
    return static_cast<int64_t>(static_cast<double>(count) / std::max(seconds, 1e-9));
  }

 private:
  Stopwatch stopwatch_;
  int64_t total_;
  double shown_ = 0;
};

int64_t total_bytes(const std::vector<fs::path>& files) {
  int64_t sum = 0;
  for (const auto& file : files) {
    std::error_code status;
    auto size = fs::file_size(file, status);
    if (!status) sum += static_cast<int64_t>(size);
  }
  return sum;
}

/// --add-NAME and --no-NAME of bos and eos; without either, `by_default`.
std::optional<int32_t> token_to_add(const Arguments& arguments, const std::string& name,
                                    std::optional<int32_t> id, bool by_default) {
  const bool add = arguments.given("add-" + name), none = arguments.given("no-" + name);
  if (add && none) fail(ExitCode::kUsage, "--add-{0} and --no-{0} contradict each other", name);
  if (add && !id) {
    fail(ExitCode::kModel,
         "--add-{0}: the model's config has no {0}_token_id that is a token; leave the option out",
         name);
  }
  return add || (by_default && !none) ? id : std::nullopt;
}

/// Put before and behind each document.
struct AddedTokens {
  std::optional<int32_t> bos, eos;
};

struct EncodedDocument {
  std::vector<int32_t> ids;
  std::vector<uint8_t> is_label;  // 1 or 0 a token
};

/// Each part by itself: no token spans what is learned and what is not. The eos is learned with the
/// last part. An error names the document.
EncodedDocument encode(const Document& document, const Tokenizer& tokenizer,
                       const AddedTokens& added, EncodeNotes& notes) {
  EncodedDocument encoded;
  auto append = [&](const std::vector<int32_t>& ids, bool is_label) {
    encoded.ids.insert(encoded.ids.end(), ids.begin(), ids.end());
    encoded.is_label.insert(encoded.is_label.end(), ids.size(), is_label ? 1 : 0);
  };
  if (added.bos) append({*added.bos}, true);
  try {
    for (const auto& part : document.parts) {
      append(tokenizer.encode_noting(part.text, notes), part.is_label);
    }
  } catch (const Error& e) {
    throw Error(e.code(), fmt::format("{}: {}", document.name, e.what()));
  }
  if (added.eos) append({*added.eos}, document.parts.back().is_label);
  return encoded;
}

Tally write_store(DocumentSource& source, const TextModel& model, const AddedTokens& added,
                  TokenStoreWriter& writer, PrepareProgress& progress) {
  Tally tally;
  while (auto document = source.next()) {
    require_not_stopped(kPrepareCommand.name);
    const EncodedDocument encoded = encode(*document, *model.tokenizer, added, tally.notes);
    writer.append(document->name, encoded.ids, encoded.is_label);
    tally.add(*document, std::ssize(encoded.ids));
    progress.show(tally);
  }
  show_progress("");
  require_not_stopped(kPrepareCommand.name);  // within the last document
  return tally;
}

Json summary_json(const fs::path& out, const Tally& tally, const DocumentReport& report,
                  const AddedTokens& added, double seconds) {
  Json lengths = Json::object();
  for (const auto& [power, count] : tally.by_length) {
    lengths[std::to_string(int64_t{1} << power)] = count;
  }
  Json summary = {{"out", out.string()},
                  {"documents", tally.documents},
                  {"empty_documents", report.empty_documents},
                  {"replaced_sequences", report.replaced_sequences},
                  {"bad_records", report.bad_records.count()},
                  {"bad_files", report.bad_files.count()},
                  {"unclaimed_files", report.unclaimed_files.count()},
                  {"unreachable_files", report.unreachable_files.count()},
                  {"tokens", tally.tokens},
                  {"text_bytes", tally.text_bytes},
                  {"bos_token_id", added.bos ? Json(*added.bos) : Json()},
                  {"eos_token_id", added.eos ? Json(*added.eos) : Json()},
                  {"seconds", seconds},
                  {"documents_by_length", lengths}};
  summary.update(notes_json(tally.notes));
  return summary;
}

void print_summary(const fs::path& out, const Tally& tally, const AddedTokens& added,
                   double seconds) {
  auto describe = [](const char* name, std::optional<int32_t> id) {
    return id ? fmt::format("{} token {} added to each", name, *id)
              : fmt::format("no {} token added", name);
  };
  auto bytes = static_cast<double>(tally.text_bytes);
  fmt::print("{}: {} documents, {} tokens in {}\n", out.string(), human_count(tally.documents),
             human_count(tally.tokens), human_bytes(fs::file_size(out)));
  fmt::print("  text              {}, {:.3f} tokens a byte\n", human_bytes(bytes),
             static_cast<double>(tally.tokens) / bytes);
  fmt::print("  their beginning   {}\n", describe("bos", added.bos));
  fmt::print("  their end         {}\n", describe("eos", added.eos));
  fmt::print("  time              {}: {}/s, {} tokens/s\n", human_duration(seconds),
             human_bytes(bytes / seconds),
             human_count(PrepareProgress::rate(tally.tokens, seconds)));
  fmt::print("  tokens a document\n");
  int64_t most = 0;
  for (const auto& [power, count] : tally.by_length) most = std::max(most, count);
  for (const auto& [power, count] : tally.by_length) {
    auto bar = static_cast<size_t>((40 * count + most - 1) / most);
    fmt::print("  {:>16} {:>10}  {}\n", fmt::format("{} +", human_count(int64_t{1} << power)),
               human_count(count), std::string(bar, '#'));
  }
}

int run_prepare(const Arguments& arguments) {
  const fs::path out = without_trailing_slash(arguments["out"]);
  require_new_output(out, arguments);
  auto files = find_document_files(arguments.all("input"));
  std::vector<fs::path> inputs(files.paths.begin(), files.paths.end());
  inputs.emplace_back(arguments["model"]);
  require_output(out, inputs);
  PartFile claimed(out);
  require_new_output(out, arguments);  // another process may have finished it meanwhile
  auto model = open_text_model(arguments["model"], arguments.given("split-special-tokens"));
  const AddedTokens added{token_to_add(arguments, "bos", model.bos_token_id, model.adds_bos),
                          token_to_add(arguments, "eos", model.eos_token_id, true)};

  remember_stop_signals();
  PrepareProgress progress(total_bytes(files.paths));
  auto source = open_documents(std::move(files), read_document_options(arguments));
  TokenStoreWriter writer(std::move(claimed), model.tokenizer->fingerprint(),
                          model.tokenizer->vocab_size());
  Tally tally = write_store(*source, model, added, writer, progress);
  if (tally.documents == 0) {
    fail(ExitCode::kData, "{}: every document is empty; nothing was written",
         arguments.all("input").front());
  }
  report_notes(tally.notes, arguments.given("strict"));
  writer.commit();
  log_warnings(source->report());
  if (arguments.given("json")) {
    fmt::print("{}\n",
               json_text(summary_json(out, tally, source->report(), added, progress.seconds())));
  } else {
    print_summary(out, tally, added, progress.seconds());
  }
  return 0;
}

}  // namespace

constinit const Command kPrepareCommand{
    .name = "prepare",
    .summary = "long documents to a token store",
    .description =
        "Write long documents as a token store. INPUT: files, folders, globs of .txt .md .tex "
        ".jsonl, each also .gz or .zst; a file is a document, a line of a .jsonl is one.",
    .example =
        "  longspan prepare books/ 'more/*.jsonl.zst' --model models/SmolLM2-135M-Instruct \\\n"
        "    --out train.h5",
    .arguments = kPrepareArguments,
    .options = {kPrepareOptions, kDocumentOptions},
    .run = run_prepare,
};

}  // namespace longspan
