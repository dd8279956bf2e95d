#include "trainer/eval/report_page.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "src/core/text.h"
#include "trainer/eval/conclusions.h"
#include "trainer/eval/triangle.h"
#include "trainer/figures/svg_elements.h"

namespace longspan {

namespace {

constexpr std::string_view kStyle = R"css(
body { margin: 0 auto; padding: 2rem 1.5rem 4rem; max-width: 900px; background: var(--paper);
  color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; margin: 0; }
h2 { font-size: 1.15rem; margin: 2.5rem 0 0.5rem; border-bottom: 1px solid var(--rule);
  padding-bottom: 0.3rem; }
p.lead { color: var(--quiet); margin: 0.2rem 0 0; }
figure { margin: 1.2rem 0 1.8rem; }
figcaption { color: var(--quiet); font-size: 0.87rem; margin-top: 0.3rem; }
figure.table { overflow-x: auto; }
figure.table figcaption { color: var(--ink); font-weight: 600; margin: 0 0 0.3rem; }
table { border-collapse: collapse; font-size: 0.87rem; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: 0.22rem 0 0.22rem 1.6rem; white-space: nowrap; }
th:first-child { text-align: left; padding-left: 0; font-weight: 500; }
thead th { color: var(--quiet); font-weight: 500; border-bottom: 1px solid var(--rule); }
tbody tr + tr > * { border-top: 1px solid var(--rule); }
table.facts td, table.facts th { text-align: left; vertical-align: top; white-space: normal;
  overflow-wrap: anywhere; }
table.facts th { color: var(--quiet); white-space: nowrap; }
svg.chart { width: 100%; height: auto; display: block; }
.maps { display: flex; flex-wrap: wrap; gap: 0.5rem 2rem; }
svg.scatter { max-width: 100%; height: auto; }
ul.conclusions { padding-left: 1.2rem; }
ul.conclusions li { margin: 0.3rem 0; }
p.data { font-size: 0.87rem; }
a { color: var(--series-1); }
th.sorts { cursor: pointer; }
th[aria-sort="ascending"]::after { content: " \25B4"; }
th[aria-sort="descending"]::after { content: " \25BE"; }
@media print {
  body { max-width: none; padding: 0; }
  figure, tr { break-inside: avoid; }
  h2 { break-after: avoid; }
  .data { display: none; }
}
)css";

// A click on a column's head sorts the rows by the number that each cell begins with, which may be
// one of K or MiB, else by the text.
constexpr std::string_view kSortScript = R"js(
const units = {K: 1024, M: 1024 ** 2, G: 1024 ** 3, T: 1024 ** 4};
const numberIn = cell => {
  const text = cell.replaceAll(",", "");
  return parseFloat(text) * (units[/^[-+.\d]+ ?([KMGT])/.exec(text)?.[1]] ?? 1);
};
for (const head of document.querySelectorAll("figure.table > table:not(.facts) > thead th")) {
  head.classList.add("sorts");
  head.addEventListener("click", () => {
    const table = head.closest("table"), body = table.tBodies[0], column = head.cellIndex;
    const descending = head.getAttribute("aria-sort") === "ascending";
    for (const other of table.querySelectorAll("thead th")) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", descending ? "descending" : "ascending");
    const shown = row => row.cells[column].textContent;
    const number = row => numberIn(shown(row));
    const rows = [...body.rows].sort((a, b) => {
      const [left, right] = [number(a), number(b)];
      if (isNaN(left) || isNaN(right)) {
        return isNaN(left) && isNaN(right) ? shown(a).localeCompare(shown(b)) : isNaN(left) - isNaN(right);
      }
      return left - right;
    });
    body.append(...(descending ? rows.reverse() : rows));
  });
}
)js";

std::string cell_shown(const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_number_float()) return fmt::format("{:.6g}", value.get<double>());
  if (value.is_array()) {
    std::vector<std::string> items;
    for (const auto& item : value) items.push_back(cell_shown(item));
    return items.empty() ? "none" : join(items, value[0].is_structured() ? "; " : ", ");
  }
  if (value.is_object()) {
    std::vector<std::string> items;
    for (const auto& [key, item] : value.items()) {
      const std::string shown = cell_shown(item);
      items.push_back(item.is_object() ? fmt::format("{} ({})", key, shown) : key + " " + shown);
    }
    return join(items, ", ");
  }
  return value.is_null() ? "none" : value.dump();
}

/// A protocol's keys, one a row.
std::string protocol_html(const Json& protocol) {
  std::string html = "<h3>Protocol</h3>\n<figure class=\"table\"><table class=\"facts\"><tbody>\n";
  for (const auto& [key, value] : protocol.items()) {
    html += fmt::format("<tr><th>{}</th><td>{}</td></tr>\n", escape_html(key),
                        escape_html(cell_shown(value)));
  }
  return html + "</tbody></table></figure>\n";
}

/// With a link to data_link() of the same name.
std::string figure_html(const Figure& figure, const std::string& name) {
  return fmt::format(
      "<figure><div class=\"maps\">{}</div><figcaption>{} <a class=\"data\" href=\"#data-{}\">"
      "JSON</a></figcaption></figure>\n",
      figure.svg, escape_html(figure.caption), escape_html(name));
}

/// Bytes but letters, digits and - as %XX.
std::string percent_encoded(const std::string& text) {
  std::string encoded;
  for (const char c : text) {
    if (std::isalnum(static_cast<unsigned char>(c)) || c == '-') {
      encoded += c;
    } else {
      encoded += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return encoded;
}

/// A link to what figures and tables were made from, which the page itself holds.
std::string data_link(const std::string& name, const Json& data) {
  return fmt::format(
      "<p class=\"data\" id=\"data-{0}\"><a download=\"{0}.json\" "
      "href=\"data:application/json,{1}\">the numbers of these figures and tables as "
      "JSON</a></p>\n",
      escape_html(name), percent_encoded(json_line(data)));
}

/// Where a label stands in the charts of value against cost.
Json points_of(const TaskStandings& task, const std::string& label) {
  Json points = Json::array();
  for (const Standing& standing : task.standings) {
    if (standing.label != label || !standing.cost) continue;
    points.push_back({{"length", standing.length},
                      {"value", standing.value},
                      {"low", standing.interval ? Json(standing.interval->low) : Json()},
                      {"high", standing.interval ? Json(standing.interval->high) : Json()},
                      {"time_to_first_token_seconds", standing.cost->time_to_first_token_seconds}});
  }
  return points;
}

/// `standings`: of the task; nullptr where it has none.
std::string link_of_task(const TaskComparison& comparison, const TaskStandings* standings) {
  Json models = Json::array();
  for (const auto& model : comparison.models) {
    Json entry = {{"label", model.label}, {"rows", model.rows}};
    if (standings) entry["against_cost"] = points_of(*standings, model.label);
    models.push_back(std::move(entry));
  }
  return data_link(comparison.task, {{"task", comparison.task}, {"models", models}});
}

std::string conclusions_html(const TaskStandings& task, const std::string& reference) {
  const std::vector<std::string> sentences = conclusions(task, reference);
  if (sentences.empty()) return "";
  std::string html = "<ul class=\"conclusions\">\n";
  for (const auto& sentence : sentences) {
    html += fmt::format("<li>{}</li>\n", escape_html(sentence));
  }
  return html + "</ul>\n";
}

std::string link_of_costs(const std::vector<EvalResult>& results) {
  Json models = Json::array();
  for (const auto& result : results) {
    models.push_back({{"label", result.label}, {"arms", result.provenance.value("arms", Json())}});
  }
  return data_link("costs", {{"models", models}});
}

std::string costs_html(const std::vector<EvalResult>& results,
                       const std::vector<TaskStandings>& tasks) {
  const std::vector<Table> tables = cost_tables(tasks);
  if (tables.empty()) return "";
  std::string html = "<h2>What it takes</h2>\n";
  for (const auto& figure : cost_figures(tasks)) html += figure_html(figure, "costs");
  for (const auto& table : tables) html += html_table(table);
  return html + link_of_costs(results);
}

std::string task_html(const TaskComparison& comparison, const std::vector<TaskStandings>& standings,
                      const std::string& reference) {
  auto task = make_eval_task(comparison.task);
  const size_t compared_to = reference_index(comparison, reference);
  std::string html = fmt::format("<h2>{}</h2>\n", escape_html(task->title()));
  const auto found = std::ranges::find(standings, comparison.task, &TaskStandings::task);
  const TaskStandings* own = found == standings.end() ? nullptr : &*found;
  const auto add = [&](const std::vector<Figure>& figures) {
    for (const auto& figure : figures) html += figure_html(figure, comparison.task);
  };
  if (own) {
    html += conclusions_html(*own, comparison.models[compared_to].label);
    add(triangle_figures(*own));
  }
  add(task->figures(comparison.models));
  for (const auto& table : task->tables(comparison.models, compared_to)) {
    html += html_table(table);
  }
  return html + link_of_task(comparison, own) + protocol_html(comparison.protocol);
}

/// Models as columns, what is known of them as rows; a fact that all share stands once.
std::string provenance_html(const std::vector<EvalResult>& results) {
  Json keys = Json::object();
  for (const auto& result : results) {
    for (const auto& [key, value] : result.provenance.items()) {
      if (key != "arms") keys[key] = nullptr;  // what they cost is shown above
    }
  }
  std::string html =
      "<h2>Provenance</h2>\n<figure class=\"table\"><table class=\"facts\">\n<thead><tr><th></th>";
  for (const auto& result : results) {
    html += fmt::format("<th>{}</th>", escape_html(result.label));
  }
  html += "</tr></thead>\n<tbody>\n";
  for (const auto& [key, unused] : keys.items()) {
    std::vector<Json> values;
    for (const auto& result : results) values.push_back(result.provenance.value(key, Json()));
    bool shared = std::all_of(values.begin(), values.end(),
                              [&](const Json& value) { return value == values.front(); });
    html += fmt::format("<tr><th>{}</th>", escape_html(key));
    if (shared) {
      html += fmt::format("<td colspan=\"{}\">{}</td>", values.size(),
                          escape_html(cell_shown(values.front())));
    } else {
      for (const auto& value : values) {
        html += fmt::format("<td>{}</td>", escape_html(cell_shown(value)));
      }
    }
    html += "</tr>\n";
  }
  return html + "</tbody></table></figure>\n";
}

}  // namespace

std::string report_page(const std::vector<EvalResult>& results,
                        const std::vector<TaskComparison>& comparisons,
                        const std::string& reference) {
  std::vector<std::string> labels;
  for (const auto& result : results) labels.push_back(result.label);
  std::string html = fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta "
      "name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>longspan: "
      "{0}</title>\n<style>{1}</style>\n</head>\n<body>\n<h1>Long-context evaluation</h1>\n<p "
      "class=\"lead\">{0}</p>\n",
      escape_html(join(labels, ", ")), std::string(chart_style()) + std::string(kStyle));
  const std::vector<TaskStandings> standings = standings_of(results, comparisons);
  for (const auto& comparison : comparisons) html += task_html(comparison, standings, reference);
  html += costs_html(results, standings) + provenance_html(results);
  return html + fmt::format("<script>{}</script>\n</body>\n</html>\n", kSortScript);
}

}  // namespace longspan
