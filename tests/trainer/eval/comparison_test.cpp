#include "trainer/eval/comparison.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/errors.h"
#include "tests/support/temporary_folder.h"
#include "trainer/eval/arms/arm.h"
#include "trainer/eval/loss_row.h"
#include "trainer/eval/report_page.h"
#include "trainer/eval/report_text.h"
#include "trainer/eval/tasks/retrieval_row.h"

namespace longspan {
namespace {

using ::testing::ContainsRegex;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

EvalResult perplexity_result(const std::string& label, double shift = 0) {
  TaskResult task{.task = "perplexity", .protocol = {{"targets_per_document", 512}}};
  for (int64_t length : {4096, 8192}) {
    double nll = 3 + shift;
    LossRow row{.length = length, .nll = nll, .nll_standard_error = 0.1, .ppl = 20};
    row.tokens_scored = 1024;
    row.document_nll = {nll - 0.1, nll + 0.1};
    task.rows.push_back(row.write());
  }
  return {label, {{"model", "m/" + label}, {"dtype", "bfloat16"}}, {task}};
}

std::string comparison_error(const std::vector<EvalResult>& results) {
  return error_of([&] { compare(results); }, ExitCode::kData);
}

TEST(DifferingPaths, NamesEachPlace) {
  Json a = {{"same", 1}, {"list", {1, 2}}, {"map", {{"x", 1}}}};
  Json b = {{"same", 1}, {"list", {1, 3, 4}}, {"map", {{"y", 1}}}};
  EXPECT_THAT(differing_paths(a, b), ElementsAre("list.1", "list.2", "map.x", "map.y"));
  EXPECT_TRUE(differing_paths(a, a).empty());
}

TEST(Compare, RefusesDifferentProtocolsAndSaysWhatDiffers) {
  EvalResult other = perplexity_result("b");
  other.tasks[0].protocol["targets_per_document"] = 256;
  std::string error = comparison_error({perplexity_result("a"), other});
  EXPECT_THAT(error, HasSubstr("targets_per_document: 512 against 256"));
}

/// Questions about another text of the same name; a result of before has no digest of its own.
TEST(Compare, RefusesOtherItems) {
  EvalResult a = perplexity_result("a"), b = perplexity_result("b");
  a.tasks[0].protocol["items_digest"] = "12ab";
  EXPECT_EQ(comparison_error({a, b}), "no error");
  EXPECT_EQ(comparison_error({b, a}), "no error");
  b.tasks[0].protocol["items_digest"] = "34cd";
  EXPECT_THAT(comparison_error({a, b}), HasSubstr("items_digest: \"12ab\" against \"34cd\""));
  EXPECT_THAT(comparison_error({perplexity_result("c"), a, b}),
              HasSubstr("items_digest: \"12ab\" against \"34cd\""));
}

TEST(Compare, RefusesOneLabelTwice) {
  EXPECT_THAT(comparison_error({perplexity_result("a"), perplexity_result("a")}),
              HasSubstr("--label"));
}

TEST(Compare, KeepsTheOrderOfTheResults) {
  auto comparisons = compare({perplexity_result("b"), perplexity_result("a")});
  ASSERT_EQ(comparisons.size(), 1);
  EXPECT_EQ(comparisons[0].models[0].label, "b");
  EXPECT_EQ(comparisons[0].models[1].label, "a");
}

TEST(Compare, TakesEachArmForAModelOfItsOwn) {
  EvalResult result = perplexity_result("a");
  for (const char* arm : {"full", "far"}) {
    for (int64_t i = 0; i < 2; ++i) result.tasks[0].rows[i]["arm"] = arm;
    auto models = compare({result, perplexity_result("b")})[0].models;
    ASSERT_EQ(models.size(), 2);
    EXPECT_EQ(models[0].label, "a");
  }
  result.tasks[0].rows[0]["arm"] = "full";
  auto comparison = compare({perplexity_result("b"), result})[0];
  ASSERT_EQ(comparison.models.size(), 3);
  EXPECT_EQ(comparison.models[1].label, "a: full");
  EXPECT_EQ(comparison.models[1].rows.size(), 1);
  EXPECT_EQ(comparison.models[2].label, "a: far");
  EXPECT_EQ(reference_index(comparison, "a"), 1);
  EXPECT_EQ(reference_index(comparison, "a: far"), 2);
  EXPECT_EQ(compare({result})[0].models[1].label, "far");
}

/// An arm that does one of two tasks keeps its name in that one, where it is alone.
TEST(Compare, NamesAnArmAlikeInAllTasks) {
  EvalResult result = perplexity_result("a");
  TaskResult alone = result.tasks[0];
  alone.task = "position_loss";
  for (Json& row : alone.rows) row["arm"] = "full";
  result.tasks.push_back(alone);
  result.tasks[0].rows[0]["arm"] = "full";
  result.tasks[0].rows[1]["arm"] = "far";
  const auto comparisons = compare({result});
  ASSERT_EQ(comparisons.size(), 2);
  EXPECT_EQ(comparisons[1].models[0].label, "full");
  EXPECT_EQ(reference_index(comparisons[1], "a"), 0);
}

TEST(FindReference, TakesALabelAnArmOrAFile) {
  TemporaryFolder folder;
  EvalResult armed = perplexity_result("a");
  armed.tasks[0].rows[0]["arm"] = "full";
  armed.tasks[0].rows[1]["arm"] = "far";
  const std::vector<EvalResult> results{armed, perplexity_result("b")};
  const std::vector<std::filesystem::path> files{folder.write("a.json", ""),
                                                 folder.write("b.json", "")};
  const auto comparisons = compare(results);
  const auto found = [&](const std::string& reference) {
    return find_reference(reference, results, comparisons, files);
  };
  EXPECT_EQ(found("b"), "b");
  EXPECT_EQ(found("a: far"), "a: far");
  EXPECT_EQ(found(folder.path("b.json")), "b");
  EXPECT_EQ(found(folder.path("./b.json")), "b");
  EXPECT_EQ(reference_index(comparisons[0], found(folder.path("b.json"))), 2);
  EXPECT_THAT(error_of([&] { found("c.json"); }, ExitCode::kUsage),
              HasSubstr("'c.json' is neither a label nor a file of these results; expected one of "
                        "a, b, a: full, a: far"));
}

TEST(TextReport, StatesPairedDifferencesToTheReference) {
  const std::vector<EvalResult> results{perplexity_result("base"),
                                        perplexity_result("trained", -0.25)};
  const auto comparisons = compare(results);
  const std::string text = text_report(results, comparisons);
  EXPECT_THAT(text, HasSubstr("minus that of 'base'"));
  EXPECT_THAT(text, HasSubstr("-0.2500 ± 0.0000"));
  EXPECT_THAT(text_report(results, comparisons, "trained"), HasSubstr("+0.2500 ± 0.0000"));
}

/// In a terminal, for scripts and on the page alike.
TEST(TextReport, SaysThePriceBesideTheGain) {
  const std::vector<EvalResult> results{perplexity_result("base"),
                                        perplexity_result("trained", -0.25)};
  const auto comparisons = compare(results);
  const std::string against = "Against base at 4K tokens, and at 8K: trained gains 0.25 and gains";
  EXPECT_THAT(text_report(results, comparisons), HasSubstr("- " + against));
  const Json said = json_report(results, comparisons)["tasks"][0]["conclusions"];
  EXPECT_THAT(said.back().get<std::string>(), HasSubstr(against));
  EXPECT_THAT(report_page(results, comparisons), HasSubstr(against));
  EXPECT_THAT(text_report(results, comparisons, "trained"), HasSubstr("- Against trained at 4K"));
  const std::vector<EvalResult> alone{perplexity_result("base")};
  EXPECT_THAT(text_report(alone, compare(alone)), Not(HasSubstr("what follows")));
}

/// Each loss by one rule, in a terminal and for scripts.
TEST(TextReport, SaysHowFarAModelUsesItsContext) {
  EvalResult falling = perplexity_result("falling");
  Json& longest = falling.tasks[0].rows[1];
  longest["document_nll"] = {2.5, 2.7};
  longest["nll"] = 2.6;
  const std::vector<EvalResult> results{falling, perplexity_result("level")};
  const auto comparisons = compare(results);
  const Json models = json_report(results, comparisons)["tasks"][0]["models"];
  EXPECT_EQ(models[0]["effective_length"]["length"], 8192);
  EXPECT_EQ(models[0]["effective_length"]["low"], 8192);
  EXPECT_EQ(models[1]["effective_length"]["low"], 4096);
  EXPECT_EQ(models[1]["effective_length"]["high"], 8192);
  EXPECT_THAT(models[0]["effective_length"]["rule"].get<std::string>(), HasSubstr("least loss"));
  EXPECT_THAT(text_report(results, comparisons), HasSubstr("8K [8K, 8K]"));
  const auto rows_of = [](const std::string& label, double far) {
    LabelledRows model{label, Json::array()};
    for (const int64_t length : {1024, 2048}) {
      RetrievalRow row{.length = length};
      row.add({}, length == 1024 ? 1 : far);
      model.rows.push_back(row.write());
    }
    return model;
  };
  const auto found =
      make_eval_task("needle")->effective_lengths({rows_of("a", 1.0), rows_of("b", 0.0)});
  EXPECT_EQ(found.of_models.at(0).length, 2048);
  EXPECT_EQ(found.of_models.at(1).length, 1024);
}

TEST(TextReport, LeavesMissingLengthsOpen) {
  EvalResult shorter = perplexity_result("short");
  shorter.tasks[0].rows.erase(1);
  const std::vector<EvalResult> results{perplexity_result("long"), shorter};
  EXPECT_THAT(text_report(results, compare(results)), ContainsRegex("short +20\\.000 +-\n"));
}

TEST(EvalResult, SurvivesJson) {
  EvalResult result = perplexity_result("a");
  EvalResult read = read_eval_result(result.write(), "a.json");
  EXPECT_EQ(read.write(), result.write());
  EXPECT_EQ(read.label, "a");
  EXPECT_EQ(read.provenance["dtype"], "bfloat16");
}

TEST(EvalResult, OfAnOlderVersionComparesStill) {
  Json older = perplexity_result("older").write();
  older["tasks"][0]["protocol"]["left_out_as_too_short"] = {"a.txt (12 tokens)"};
  EXPECT_EQ(comparison_error({read_eval_result(older, "older.json"), perplexity_result("a")}),
            "no error");
}

TEST(EvalResult, HasTheKeysThatScriptsReadAndInOrder) {
  Json json = perplexity_result("a").write();
  EXPECT_EQ(json["format"], "longspan eval");
  EXPECT_EQ(json["format_version"], 1);
  EXPECT_EQ(json["tasks"][0]["rows"][0]["length"], 4096);
  std::vector<std::string> keys, row_keys;
  for (const auto& [key, value] : json.items()) keys.push_back(key);
  for (const auto& [key, value] : json["tasks"][0]["rows"][0].items()) row_keys.push_back(key);
  EXPECT_THAT(
      keys, ElementsAre("format", "format_version", "label", "model", "dtype", "seconds", "tasks"));
  EXPECT_THAT(row_keys, ElementsAre("length", "n", "nll", "low", "high", "nll_standard_error",
                                    "ppl", "bits_per_byte", "tokens_scored", "documents",
                                    "document_nll", "seconds"));
}

TEST(EvalResult, RefusesWhatIsNone) {
  Json good = perplexity_result("a").write();
  auto message = [](const Json& json) {
    return error_of([&] { read_eval_result(json, "a.json"); }, ExitCode::kData);
  };
  auto with = [&](const char* pointer, Json value) {
    Json changed = good;
    changed[Json::json_pointer(pointer)] = std::move(value);
    return message(changed);
  };
  EXPECT_EQ(message(good), "no error");
  EXPECT_THAT(message(Json::array()), HasSubstr("longspan eval"));
  EXPECT_THAT(message(Json("text")), HasSubstr("longspan eval"));
  EXPECT_THAT(with("/format_version", 99), HasSubstr("99"));
  EXPECT_THAT(with("/tasks", Json::array()), HasSubstr("tasks"));
  EXPECT_THAT(with("/tasks", 3), HasSubstr("tasks"));
  EXPECT_THAT(with("/tasks/0", 3), HasSubstr("tasks.0"));
  EXPECT_THAT(with("/tasks/0/task", "passkeys"), HasSubstr("passkeys"));
  EXPECT_THAT(with("/tasks/0/rows", Json::array()), HasSubstr("rows"));
  EXPECT_THAT(with("/tasks/0/rows/0", "x"), HasSubstr("rows"));
  EXPECT_THAT(with("/tasks/0/rows/1/nll", "low"), HasSubstr("rows: 1.nll"));
  EXPECT_THAT(with("/tasks/0/rows/1/nll", nullptr), HasSubstr("rows: 1.nll"));
  EXPECT_THAT(with("/tasks/1", good["tasks"][0]), HasSubstr("tasks.1.task: 'perplexity'"));
  EXPECT_THAT(with("/tasks/0/rows/1/arm", nullptr), HasSubstr("rows: 1.arm"));
  EXPECT_THAT(with("/arms", 3), HasSubstr("arms"));
  EXPECT_THAT(with("/arms", Json::array({{{"arm", "full"}, {"length", "4K"}}})),
              HasSubstr("arms.0.length"));
  EXPECT_THAT(with("/tasks/0/rows/1/length", -4), HasSubstr("length"));
  EXPECT_THAT(with("/tasks/0/protocol", "x"), HasSubstr("protocol"));
}

TEST(ReportPage, LoadsNothingFromElsewhere) {
  std::vector<EvalResult> results{perplexity_result("base"), perplexity_result("trained", -0.25)};
  std::string page = report_page(results, compare(results));
  for (const char* word : {"http", "src=", "@import", "url(", "fetch(", "import("}) {
    EXPECT_THAT(page, Not(HasSubstr(word)));
  }
  const std::string link = "href=\"";
  for (size_t at = page.find(link); at != page.npos; at = page.find(link, at + 1)) {
    const std::string to = page.substr(at + link.size(), 6);
    EXPECT_TRUE(to.starts_with("data:") || to == "#data-") << to;
  }
  EXPECT_THAT(page, HasSubstr("trained"));
  EXPECT_THAT(page, HasSubstr("targets_per_document"));
  EXPECT_THAT(page, HasSubstr("m/base"));
}

TEST(ReportPage, HasThePriceBesideTheGainAndTheNumbersOfItsCharts) {
  EvalResult base = perplexity_result("base");
  base.provenance["arms"] =
      Json::array({{{"arm", "full"}, {"length", 4096}, {"time_to_first_token_seconds", 2.5}}});
  std::vector<EvalResult> results{base, perplexity_result("trained", -0.25)};
  const std::string page = report_page(results, compare(results));
  EXPECT_THAT(page, HasSubstr("Against base at 4K tokens, and at 8K: trained gains 0.25"));
  for (const char* name : {"perplexity", "costs"}) {
    EXPECT_THAT(page, HasSubstr(fmt::format("href=\"#data-{}\">JSON</a></figcaption>", name)));
    EXPECT_THAT(page, HasSubstr(fmt::format("id=\"data-{0}\"><a download=\"{0}.json\"", name)));
  }
  EXPECT_THAT(page, HasSubstr("against%5Fcost%22%3A%5B%7B%22length%22%3A4096"));
}

TEST(ReportPage, EscapesLabels) {
  std::vector<EvalResult> results{perplexity_result("<b>\"&")};
  std::string page = report_page(results, compare(results));
  EXPECT_THAT(page, Not(HasSubstr("<b>")));
  EXPECT_THAT(page, HasSubstr("&lt;b&gt;&quot;&amp;"));
}

}  // namespace
}  // namespace longspan
