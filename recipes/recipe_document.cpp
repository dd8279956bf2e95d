#include "recipes/recipe_document.h"

#include <algorithm>
#include <string_view>
#include <vector>

#include "src/core/text.h"

namespace longspan {

namespace {

constexpr size_t kColumns = 125;

constexpr std::string_view kBegin =
    "<!-- made by `longspan schema --markdown`; what it says stands in the sources -->\n"
    "# The keys of a recipe\n";

constexpr std::string_view kIntroduction[] = {
    "A recipe is a YAML file that says all that decides a run; `recipes/` has some. `longspan "
    "validate RECIPE` names all that is wrong with one. An unknown key is an error, and a key "
    "without a value counts as left out. Behind the recipe any value can be replaced: "
    "`optimizer.lr=1e-4`, `lora.target_modules=[q_proj, v_proj]`, or `stages.1.steps=20`, where "
    "the number picks an entry of the list, from 0. Paths are relative to where longspan is run.",
    "`longspan schema` prints the same as JSON Schema, by which an editor completes and checks a "
    "recipe: save it as `recipe.schema.json` and begin the recipe with `# yaml-language-server: "
    "$schema=recipe.schema.json`.",
    "\"needed\" in the tables: there is no default."};

constexpr std::string_view kMayChange[] = {
    "where things are: `model.path`, `data.path`, `output.dir`, as long as what is there is the "
    "same: the base's weights and the store's tokens are compared by hashes (of large ones by "
    "samples), and exit code 8 says which differs;",
    "how it learns from there on: all of `optimizer`, `lr_schedule` and `loss`, "
    "`train.max_grad_norm`, "
    "`lora.lora_dropout`;",
    "how long: `train.steps`, also of a run that had ended; `steps` of the stage at work, as long "
    "as they are not below those it has done; all of the stages that have not begun, and their "
    "number. Cosine and linear schedules follow the new length. With `train.interleave` all stages "
    "stay as they are;",
    "how it computes: `memory`, `model.dtype`, `model.quantization`, `train.threads`, "
    "`train.loss_chunk_tokens`, `train.deterministic`, and `batch_size` against "
    "`gradient_accumulation_steps` where their product stays (not with `focused_memory`, whose "
    "negatives are other rows of a pass);",
    "`validation` and `checkpoint`, and `model.on_scaled` between `error` and `replace`."};

constexpr std::string_view kRest =
    "What is not said again stays as the run has chosen it (`memory`). All else must be as it was, "
    "the checkpoint's own files too: its `state.json` has their SHA-256, and exit code 8 names the "
    "one that is another.";

/// Lines no longer than kColumns, each but the first behind `indent`.
std::string lines_of(std::string_view paragraph, std::string_view indent = "") {
  std::string text;
  size_t column = 0;
  for (const auto& word : split(paragraph, ' ')) {
    const bool fits = column + 1 + word.size() <= kColumns;
    if (column > 0) text += fits ? " " : "\n" + std::string(indent);
    column = (column == 0 ? 0 : fits ? column + 1 : indent.size()) + word.size();
    text += word;
  }
  return text + "\n";
}

std::string wrapped(std::string_view paragraph) { return "\n" + lines_of(paragraph); }

std::string paragraphs(const std::string& text) {
  std::string all;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find("\n\n", begin), text.size());
    all += wrapped(std::string_view(text).substr(begin, end - begin));
    begin = end + 2;
  }
  return all;
}

/// As YAML spells it, but texts in a list bare.
std::string plain(const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_number_float()) return fmt::format("{}", value.get<double>());
  if (!value.is_array()) return value.dump();
  std::vector<std::string> items;
  for (const Json& item : value) items.push_back(plain(item));
  return "[" + join(items, ", ") + "]";
}

std::string code(const Json& value) {
  return value.is_number() ? plain(value) : "`" + plain(value) + "`";
}

std::string default_of(const Json& key, bool required) {
  if (key.contains("$comment")) return key["$comment"].get<std::string>();
  if (required) return "needed";
  if (!key.contains("default")) return "";
  return key["default"] == "" ? "none" : code(key["default"]);
}

/// "`a`, `b` or `c`: ", where a key takes one of these.
std::string choices_of(const Json& key) {
  if (!key.contains("enum")) return "";
  std::string text;
  const Json& values = key["enum"];
  for (size_t i = 0; i < values.size(); ++i) {
    if (i > 0) text += i + 1 < values.size() ? ", " : " or ";
    text += code(values[i]);
  }
  return text + ": ";
}

struct Row {
  std::string name;
  Json key;
  bool required = false;
  std::vector<std::string> forms;  // of a oneOf, those of which the meaning is
};

std::string table(const std::vector<Row>& rows, size_t forms) {
  std::string text = "\n| key | default | meaning |\n| --- | --- | --- |\n";
  for (const Row& row : rows) {
    std::string of;
    if (!row.forms.empty() && row.forms.size() < forms) {
      const bool most = row.forms.size() > 4;
      of = (most ? "all but default" : join(row.forms, ", ")) + ": ";
    }
    text += fmt::format("| `{}` | {} | {}{}{} |\n", row.name, default_of(row.key, row.required), of,
                        choices_of(row.key), row.key["description"].get<std::string>());
  }
  return text;
}

bool requires_key(const Json& map, const std::string& name) {
  const Json required = map.value("required", Json::array());
  return std::find(required.begin(), required.end(), name) != required.end();
}

std::string table_of_map(const Json& map) {
  std::vector<Row> rows;
  for (const auto& [name, key] : map["properties"].items()) {
    rows.push_back({name, key, requires_key(map, name), {}});
    if (!key.contains("items") || !key["items"].contains("properties")) continue;
    for (const auto& [own, described] : key["items"]["properties"].items()) {
      rows.push_back({name + "[]." + own, described, requires_key(key["items"], own), {}});
    }
  }
  return table(rows, 0);
}

/// What `form` says of a key that another form has too, where it says something else.
void add_form(Row& row, const Json& key, bool required, const std::string& form) {
  if (key.contains("enum")) {
    for (const Json& value : key["enum"]) row.key["enum"].push_back(value);
    return row.forms.push_back(form);
  }
  const std::string before = default_of(row.key, row.required), own = default_of(key, required);
  if (own != before) row.key["$comment"] = fmt::format("{}; {}: {}", before, form, own);
  const auto meaning = key["description"].get<std::string>();
  if (meaning == row.key["description"]) return row.forms.push_back(form);
  row.key["description"] =
      fmt::format("{}; {}: {}", row.key["description"].get<std::string>(), form, meaning);
}

/// The keys of all forms, each once; the first key's values name the forms.
std::string table_of_forms(const Json& forms) {
  std::vector<Row> rows;
  size_t maps = 0;
  for (const Json& form : forms) {
    if (!form.contains("properties")) continue;
    ++maps;
    std::string of;
    for (const auto& [name, key] : form["properties"].items()) {
      if (of.empty()) of = key["enum"].front().get<std::string>();
      auto row =
          std::find_if(rows.begin(), rows.end(), [&](const Row& r) { return r.name == name; });
      if (row == rows.end()) {
        rows.push_back({name, key, requires_key(form, name), {}});
        rows.back().forms.push_back(of);
      } else {
        add_form(*row, key, requires_key(form, name), of);
      }
    }
  }
  return table(rows, maps);
}

std::string section(const std::string& name, const Json& map) {
  const bool may_be_none = map.contains("oneOf") && map["oneOf"].back().contains("const");
  if (may_be_none) return section(name, map["oneOf"].front());
  std::string text = fmt::format("\n## `{}`\n", name) + paragraphs(map.value("description", ""));
  if (map.contains("oneOf")) return text + table_of_forms(map["oneOf"]);
  return text + table_of_map(map.contains("items") ? map["items"] : map);
}

}  // namespace

std::string recipe_document(const Json& schema) {
  std::string text(kBegin);
  for (const auto paragraph : kIntroduction) text += wrapped(paragraph);
  for (const auto& [name, map] : schema["properties"].items()) text += section(name, map);
  text += "\n## What may change when a run is resumed\n\n";
  for (const auto item : kMayChange) text += lines_of(fmt::format("- {}", item), "  ");
  return text + wrapped(kRest);
}

}  // namespace longspan
