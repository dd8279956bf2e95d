#include "src/rope/longrope_search.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "checkpoints/hf/hf_config.h"
#include "checkpoints/hf/hf_importer.h"
#include "checkpoints/model_source.h"
#include "checkpoints/weights_fingerprint.h"
#include "src/core/digest.h"
#include "src/core/log.h"
#include "src/core/stopwatch.h"
#include "src/core/text.h"
#include "src/rope/critical_dimension.h"
#include "tools/commands/commands.h"
#include "tools/support/open_model.h"
#include "tools/support/open_store.h"
#include "tools/support/output_file.h"
#include "tools/support/rope_option.h"
#include "tools/support/shared_options.h"
#include "tools/support/text_model.h"
#include "trainer/eval/answer_journal.h"
#include "trainer/eval/finite_loss.h"
#include "trainer/eval/needle_windows.h"
#include "trainer/eval/window_loss.h"
#include "trainer/figures/table.h"

namespace longspan {

namespace {

std::vector<std::string> longrope_methods() { return {"longrope", "longrope2"}; }

constexpr Option kLongropeSearchArguments[] = {
    {"model", "MODEL", "", "model folder, GGUF file or ORG/NAME"},
};
constexpr Option kLongropeSearchOptions[] = {
    {"data", "STORE", "", "token store of longspan prepare", kRequired},
    {"factor", "F", "", "target length over the original one", kRequired},
    {"out", "FILE.json", "", "write the scaling here", kRequired},
    {"method", "METHOD", "longrope",
     "whose search; longrope2 finds the real critical dimension too, and searches the factors from "
     "it on",
     "", longrope_methods},
    {"length", "N", "", "tokens of a document to read (default: original length x factor)"},
    {"documents", "N", "5", "the first N that are long enough; 0: all"},
    {"targets", "N", "", "scored tokens at the end of each document (default: all but the first)"},
    {"needles", "N", "",
     "score the values of N needles hidden in each document, as LongRoPE2 does, in place of its "
     "tokens; 0: none (default: 1 with longrope2, else 0)"},
    {"population", "N", "64", "candidates"},
    {"iterations", "N", "40", "each evaluates half a population"},
    {"seed", "N", "0", "of the search"},
    {"attention-factor", "X", "",
     "of the scaling (default: the paper's, sqrt(1 + ln F / ln original))"},
    {"state", "FILE", "", "measured losses, to go on from (default: FILE.json.state)"},
    {"dtype", "DTYPE", "bfloat16", "to compute in", "", computed_dtypes},
    {"threads", "N", "", "processor threads (default: all)"},
    {"json", "", "", "print the result as JSON"},
};

LongRopeSearchOptions read_longrope_search_options(const Arguments& arguments) {
  const std::string method = arguments["method"];
  const auto methods = longrope_methods();
  if (std::ranges::find(methods, method) == methods.end()) {
    fail(ExitCode::kUsage, "--method: '{}' is not known; expected one of {}", method,
         join(methods, ", "));
  }
  LongRopeSearchOptions options{.factor = arguments.number<double>("factor"),
                                .longrope2 = method == "longrope2",
                                .population = arguments.number<int64_t>("population"),
                                .iterations = arguments.number<int64_t>("iterations"),
                                .seed = arguments.number<uint64_t>("seed")};
  if (!(options.factor > 1) || options.factor > 1e6) {
    fail(ExitCode::kUsage, "--factor: {} is out of range; expected more than 1, up to 1e6",
         options.factor);
  }
  if (options.population < 4 || options.iterations < 0) {
    fail(ExitCode::kUsage,
         "--population {} --iterations {}: expected a population of at least 4 (linear, NTK and "
         "YaRN are three of it) and no negative number",
         options.population, options.iterations);
  }
  return options;
}

/// The model that is scaled, the texts it is measured on, and what was measured.
class Subject {
 public:
  Subject(const Arguments& arguments, const LongRopeSearchOptions& options);

  const RopeGeometry& geometry() const { return geometry_; }
  int64_t length() const { return std::ssize(windows_.front().ids); }
  size_t windows() const { return windows_.size(); }
  size_t measured() const { return journal_->size(); }

  /// The scaling with these long factors as a map; sequences up to the original length stay as
  /// they are, but for the attention factor.
  Json longrope(const std::vector<double>& rescale_factors) const {
    Json map = {{"rope_type", "longrope"}, {"factor", factor_}};
    map[kOriginalMaxPositionEmbeddings] = geometry_.max_position_embeddings;
    if (attention_factor_) map["attention_factor"] = *attention_factor_;
    map["short_factor"] = std::vector<double>(rescale_factors.size(), 1.0);
    map["long_factor"] = rescale_factors;
    return map;
  }

  /// Mean loss over all windows under a scaling that is a map of rope_type and its keys.
  double loss_of(const Json& rope) {
    return journal_->number(rope, [&] { return measure(rope); });
  }

 private:
  void open_windows(const Arguments& arguments, const LongRopeSearchOptions& options,
                    const ModelSource& source, int64_t length);
  Json identity(const Arguments& arguments, const ModelSource& source) const;
  double measure(const Json& rope);

  double factor_;
  std::optional<double> attention_factor_;
  RopeGeometry geometry_;  // max_position_embeddings is the original length
  ModelConfig base_;
  std::vector<TargetWindow> windows_;
  std::unique_ptr<AnswerJournal> journal_;
  std::unique_ptr<CausalLm> model_;
};

Subject::Subject(const Arguments& arguments, const LongRopeSearchOptions& options)
    : factor_(options.factor) {
  if (arguments.given("attention-factor")) {
    attention_factor_ = arguments.number<double>("attention-factor");
  }
  auto source = open_model_source(arguments["model"]);
  base_ = read_hf_config(*source);
  // Any longrope says which length the factors count from, and whether the model may be scaled.
  std::shared_ptr<const RopeScaling> probe = make_rope_scaling("longrope");
  OnScaled on_scaled = parse_on_scaled(arguments["on-scaled"], "--on-scaled");
  int64_t original = 0;
  try {
    original = extend_rope(base_, probe, on_scaled).original_max_position_embeddings;
  } catch (const Error& e) {
    fail(ExitCode::kUsage, "{}", with_on_scaled_option(e.what()));
  }
  geometry_ = base_.rope_geometry();
  geometry_.max_position_embeddings = original;

  int64_t length = std::llround(static_cast<double>(original) * factor_);
  if (arguments.given("length")) length = parse_length(arguments["length"], "--length");
  if (length <= original) {
    fail(ExitCode::kUsage,
         "--length: {} tokens do not reach beyond the original length {}, where long_factor "
         "begins; expected more",
         length, original);
  }
  open_windows(arguments, options, *source, length);
  std::string out = arguments["out"];
  require_output(out, {arguments["model"], arguments["data"]});
  std::string state = arguments.given("state") ? arguments["state"] : out + ".state";
  journal_ = std::make_unique<AnswerJournal>(state, identity(arguments, *source));
  model_ = import_model(*source, {.dtype = parse_dtype(arguments["dtype"])});
}

void Subject::open_windows(const Arguments& arguments, const LongRopeSearchOptions& options,
                           const ModelSource& source, int64_t length) {
  const auto documents = arguments.number<int64_t>("documents");
  int64_t needles = options.longrope2 ? 1 : 0;
  if (arguments.given("needles")) needles = arguments.number<int64_t>("needles");
  if (documents < 0 || needles < 0) {
    fail(ExitCode::kUsage,
         "--documents {} --needles {}: expected counts, or 0 for all documents and no needles",
         documents, needles);
  }
  const auto store = open_store(arguments["data"], source);
  auto texts = first_windows(*store, length, documents);
  if (needles > 0) {
    if (arguments.given("targets")) {
      fail(ExitCode::kUsage, "--targets: with --needles their values are the targets; give one");
    }
    const TextModel text_model = open_text_model(arguments["model"]);
    windows_ = needle_windows(texts, needles, *text_model.tokenizer, options.seed);
    return;
  }
  const int64_t targets =
      arguments.given("targets") ? arguments.number<int64_t>("targets") : length - 1;
  if (targets < 1 || targets >= length) {
    fail(ExitCode::kUsage, "--targets: {} is out of range; expected 1 to {}", targets, length - 1);
  }
  for (auto& text : texts) windows_.push_back({std::move(text), targets});
}

Json Subject::identity(const Arguments& arguments, const ModelSource& source) const {
  Digest config, ids;
  config.update(source.config_json().dump());
  for (const auto& window : windows_) {
    for (int64_t id : window.ids) ids.update(fmt::format("{}\n", id));
  }
  return {{"weights_sha256", weights_fingerprint(source)},
          {"config_sha256", config.hex()},
          {"dtype", arguments["dtype"]},
          {"documents", windows_.size()},
          {"length", windows_.front().ids.size()},
          {"targets", windows_.front().targets},
          {"ids_sha256", ids.hex()}};
}

double Subject::measure(const Json& rope) {
  Diagnostics diagnostics;
  auto scaling = read_rope_scaling(Fields(rope, diagnostics));
  diagnostics.throw_if_any(ExitCode::kUsage);
  apply_rope(extend_rope(base_, std::move(scaling), OnScaled::kReplace), *model_);
  const Stopwatch stopwatch;
  double sum = 0;
  for (const auto& window : windows_) {
    sum += window_loss(*model_, window.ids, window.targets);
  }
  const double loss = sum / static_cast<double>(windows_.size());
  const auto type = rope["rope_type"].get<std::string>();
  require_finite(loss, "longrope-search", "under " + type);
  log_info("{}: loss {:.4f}, {:.1f} s", type, loss, stopwatch.seconds());
  return loss;
}

struct Row {
  std::string name;
  double loss = 0;
};

/// What the search has to beat: no scaling, the three formulas with their own attention factors,
/// and the same frequencies under the attention factor of the search.
std::vector<Row> measure_starts(Subject& subject, const std::vector<LongRopeStart>& starts,
                                double factor) {
  std::vector<Row> rows{{"not scaled", subject.loss_of({{"rope_type", "default"}})}};
  for (const auto& start : starts) {
    rows.push_back({fmt::format("{} x{:g}", start.rope_type, factor),
                    subject.loss_of({{"rope_type", start.rope_type}, {"factor", factor}})});
  }
  for (const auto& start : starts) {
    rows.push_back({fmt::format("longrope, as {}", start.rope_type),
                    subject.loss_of(subject.longrope(start.rescale_factors))});
  }
  return rows;
}

void print(const std::vector<Row>& rows, const Json& rope,
           const std::optional<int64_t>& critical_pair, bool as_json) {
  if (as_json) {
    Json losses = Json::object();
    for (const auto& row : rows) losses[row.name] = row.loss;
    Json result = {{"rope", rope}, {"losses", losses}};
    if (critical_pair) result["critical_pair"] = *critical_pair;
    fmt::print("{}\n", json_text(result));
    return;
  }
  Table table{.title = "Loss on the documents of the search (nats a token)",
              .header = {"scaling", "loss"}};
  for (const auto& row : rows) table.rows.push_back({row.name, fmt::format("{:.4f}", row.loss)});
  fmt::print("{}", text_table(table));
}

int run_longrope_search(const Arguments& arguments) {
  LongRopeSearchOptions options = read_longrope_search_options(arguments);
  set_threads(arguments);
  Subject subject(arguments, options);
  auto starts = longrope_starts(subject.geometry(), options.factor);
  log_info("{} texts of {} tokens, original length {}; {} losses are known already",
           subject.windows(), human_count(subject.length()),
           human_count(subject.geometry().max_position_embeddings), subject.measured());

  std::vector<Row> rows = measure_starts(subject, starts, options.factor);
  auto best = search_longrope(
      options, options.longrope2 ? longrope2_starts(subject.geometry(), options) : starts,
      [&](const std::vector<double>& factors) {
        return subject.loss_of(subject.longrope(factors));
      },
      [&](int64_t iteration, const std::vector<LongRopeIndividual>& parents) {
        log_info("iteration {}/{}: best loss {:.4f}, worst parent {:.4f}", iteration,
                 options.iterations, parents.front().loss, parents.back().loss);
      });
  rows.push_back({"longrope, found", best.loss});
  Json rope = subject.longrope(best.rescale_factors);
  write_json_file(arguments["out"], rope);
  std::optional<int64_t> found;
  if (options.longrope2) {
    found = best.critical_pair;
    log_info("the real critical dimension is pair {}, the theoretical one pair {}", *found,
             critical_pair(subject.geometry()));
  }
  print(rows, rope, found, arguments.given("json"));
  return 0;
}

}  // namespace

constinit const Command kLongropeSearchCommand{
    .name = "longrope-search",
    .summary = "search LongRoPE factors by the loss of documents",
    .description =
        "Search LongRoPE's long_factor by the loss of long documents (Ding et al. 2024), or as "
        "LongRoPE2 does (--method longrope2; Shang et al. 2025): by the loss of needles hidden in "
        "them, and by NTK scaling before the dimension from which on factors are searched. What is "
        "written can be given to --rope, and to rope of a recipe. LongRoPE's other variable, how "
        "many first tokens stay unscaled, is not searched: no config.json, GGUF or runtime can "
        "state it. Stopped, it goes on where it was when it is run again.",
    .example =
        "  longspan longrope-search models/smollm2 --data books.h5 --factor 4 --length 32K \\\n"
        "      --population 16 --iterations 10 --out rope.json\n"
        "  longspan eval models/smollm2 --rope rope.json --lengths 8K,32K --text other-book.txt",
    .arguments = kLongropeSearchArguments,
    .options = {kLongropeSearchOptions, kOnScaledOption},
    .run = run_longrope_search,
};

}  // namespace longspan
