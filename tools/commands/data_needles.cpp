#include <algorithm>
#include <filesystem>

#include "data/documents/document_files.h"
#include "data/documents/document_report.h"
#include "data/documents/document_source.h"
#include "data/documents/needle_documents.h"
#include "src/core/atomic_file.h"
#include "src/core/log.h"
#include "src/core/stop_signal.h"
#include "src/core/text.h"
#include "tools/commands/commands.h"
#include "tools/support/arguments.h"
#include "tools/support/document_options.h"
#include "tools/support/json_lines.h"
#include "tools/support/output_file.h"
#include "tools/support/text_model.h"

namespace longspan {

namespace {

constexpr Option kDataNeedlesArguments[] = {
    {"text", "TEXT...", "", "documents, as longspan prepare reads them"},
};
constexpr Option kDataNeedlesOptions[] = {
    {"model,tokenizer", "MODEL", "", "model folder, GGUF file or ORG/NAME", kRequired},
    {"length", "N", "", "tokens that hold all that is put in: seq_len of the recipe", kRequired},
    {"out", "FILE.jsonl", "", "write the pieces here, for longspan prepare", kRequired},
    {"facts", "N", "",
     "of a piece, each stated, and asked for and answered further on (default: 16 for each 2,048 "
     "tokens of the length)"},
    {"quotes", "N", "",
     "sentences of a piece that are quoted further on (default: 5 for each 2,048 tokens)"},
    {"seed", "N", "0", "of all that is drawn"},
    {"strict", "", "",
     "a bad record, a bad file among others and what is no UTF-8 are errors; else they are passed "
     "over or repaired, counted and named"},
    {"json", "", "", "print the summary as JSON"},
    {"force", "", "", "replace FILE.jsonl"},
};

NeedleOptions read_needle_options(const Arguments& arguments) {
  NeedleOptions options;
  const int64_t usual = options.length;
  options.length = parse_length(arguments["length"], "--length");
  const auto count_of = [&](const char* name, int64_t by_default) {
    if (arguments.given(name)) return arguments.number<int64_t>(name);
    return std::max<int64_t>(1, by_default * options.length / usual);
  };
  options.facts = count_of("facts", options.facts);
  options.quotes = count_of("quotes", options.quotes);
  options.seed = arguments.number<uint64_t>("seed");
  return options;
}

/// Returns how many documents there were.
int64_t write_pieces(DocumentSource& source, NeedleDocuments& needles, JsonLines& out) {
  int64_t documents = 0;
  const auto write = [&](const NeedlePiece& piece) {
    require_not_stopped(kDataNeedlesCommand.name);
    out.add(Json{{"text", piece.text}});
    show_progress(fmt::format("{} documents  {} pieces  {} tokens", human_count(documents),
                              human_count(needles.report().pieces),
                              human_count(needles.report().tokens)));
  };
  while (auto document = source.next()) {
    require_not_stopped(kDataNeedlesCommand.name);
    ++documents;
    needles.cut(document->text(), write);
  }
  show_progress("");
  return documents;
}

void require_pieces(const NeedleReport& report, const NeedleOptions& options) {
  if (report.pieces > 0) return;
  if (report.without_places > 0) {
    fail(ExitCode::kData,
         "data-needles: too few sentences end in these texts to put anything between them; give "
         "prose, whose sentences end with '.', '!', '?' or a blank line");
  }
  fail(ExitCode::kData,
       "data-needles: no text makes a piece of {} tokens, what is put in included: the longest has "
       "{}; give longer texts or a shorter --length",
       options.length + 1, report.longest_rest_tokens);
}

Json needles_json(const std::filesystem::path& out, int64_t documents, const NeedleReport& report) {
  return {{"out", out.string()},
          {"documents", documents},
          {"pieces", report.pieces},
          {"tokens", report.tokens},
          {"facts", report.facts},
          {"quotes", report.quotes},
          {"rests", report.rests},
          {"rest_tokens", report.rest_tokens},
          {"without_places", report.without_places}};
}

void print_needles(const std::filesystem::path& out, int64_t documents,
                   const NeedleReport& report) {
  fmt::print("{}: {} pieces of {} documents, {} tokens in {}\n", out.string(),
             human_count(report.pieces), human_count(documents), human_count(report.tokens),
             human_bytes(std::filesystem::file_size(out)));
  fmt::print("  put in            {} facts, {} quotes\n", human_count(report.facts),
             human_count(report.quotes));
  fmt::print("  left out          {} rests too short for a piece, {} tokens\n",
             human_count(report.rests), human_count(report.rest_tokens));
  if (report.without_places == 0) return;
  fmt::print("                    {} pieces in which too few sentences end\n",
             human_count(report.without_places));
}

int run_data_needles(const Arguments& arguments) {
  const auto out = without_trailing_slash(arguments["out"]);
  require_new_output(out, arguments);
  const NeedleOptions options = read_needle_options(arguments);
  auto files = find_document_files(arguments.all("text"));
  std::vector<std::filesystem::path> inputs(files.paths.begin(), files.paths.end());
  inputs.emplace_back(arguments["model"]);
  require_output(out, inputs);
  const TextModel model = open_text_model(arguments["model"]);
  NeedleDocuments needles(*model.tokenizer, options);
  auto source = open_documents(std::move(files), read_document_options(arguments));

  remember_stop_signals();
  JsonLines lines(out);
  const int64_t documents = write_pieces(*source, needles, lines);
  log_warnings(source->report());
  require_pieces(needles.report(), options);
  lines.commit("the pieces");
  if (arguments.given("json")) {
    fmt::print("{}\n", json_text(needles_json(out, documents, needles.report())));
  } else {
    print_needles(out, documents, needles.report());
  }
  return 0;
}

}  // namespace

constinit const Command kDataNeedlesCommand{
    .name = "data-needles",
    .summary = "texts with facts that are asked for further on, to train retrieval",
    .description =
        "Write texts for training that teach to find again what stands far before (artificial "
        "needles, Xiong et al. 2024): cut into pieces of a little more than --length tokens, with "
        "made-up facts that are stated, and asked for and answered further on, and with sentences "
        "of the text that are quoted further on. At least a tenth of the length lies between. "
        "Nothing else of the text changes; what is too short at its end is left out. A recipe with "
        "that seq_len and data.only_full_passages: true trains on each piece as one row; the texts "
        "as they are may stand in the same store. TEXT: files, folders, globs of .txt .md .tex "
        ".jsonl, each also .gz or .zst.",
    .example =
        "  longspan data-needles books/ --model models/SmolLM2-135M-Instruct --length 2048 \\\n"
        "    --out facts.jsonl\n"
        "  longspan prepare books/ facts.jsonl --model models/SmolLM2-135M-Instruct --out train.h5",
    .arguments = kDataNeedlesArguments,
    .options = {kDataNeedlesOptions, kDocumentOptions},
    .run = run_data_needles,
};

}  // namespace longspan
