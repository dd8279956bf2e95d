#pragma once

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "src/core/fields.h"
#include "trainer/eval/effective_length.h"
#include "trainer/figures/table.h"

namespace longspan {

/// The rows of a result. Row: has read(Fields&). An error names the row by its index.
template <class Row>
std::vector<Row> read_rows(const Json& rows, Diagnostics& diagnostics) {
  std::vector<Row> read;
  for (size_t i = 0; i < rows.size(); ++i) {
    Fields fields(rows[i], diagnostics, std::to_string(i));
    read.emplace_back().read(fields);
  }
  return read;
}

/// The rows of one model. Row: has a `length`.
template <class Row>
struct ModelRows {
  std::string label;
  std::vector<Row> rows;
};

/// The rows of each model, which check_rows() has found readable. Models: of {label, rows}.
template <class Row, class Models>
std::vector<ModelRows<Row>> read_models(const Models& models) {
  Diagnostics diagnostics;
  std::vector<ModelRows<Row>> read;
  for (const auto& model : models) {
    read.push_back({model.label, read_rows<Row>(model.rows, diagnostics)});
  }
  return read;
}

/// A line a model, of which `found` has a length each.
template <class Row>
Table length_table(std::string title, const std::vector<ModelRows<Row>>& models,
                   const EffectiveLengths& found) {
  Table table{.title = std::move(title), .header = {"", "tokens"}};
  for (size_t i = 0; i < models.size(); ++i) {
    table.rows.push_back({models[i].label, length_estimate_label(found.of_models[i])});
  }
  return table;
}

template <class Row>
std::set<int64_t> lengths_of(const std::vector<ModelRows<Row>>& models) {
  std::set<int64_t> lengths;
  for (const auto& model : models) {
    for (const auto& row : model.rows) lengths.insert(row.length);
  }
  return lengths;
}

}  // namespace longspan
