#pragma once

#include <optional>
#include <string>
#include <vector>

#include "trainer/eval/comparison.h"
#include "trainer/eval/statistics.h"

namespace longspan {

/// What reading by one arm of one model took at one length.
struct ArmCost {
  double time_to_first_token_seconds = 0;
  double tokens_per_second = 0;  // generated; 0 where nothing was
  double flops = 0;
  double peak_memory_bytes = 0;
  double kv_bytes = 0;
};

/// What a model, or one of its arms, reached in a task at one length, over all depths and items.
struct Standing {
  std::string label = {};  // as LabelledRows has it
  std::string arm = {};
  int64_t length = 0;
  double value = 0;                       // a score or a loss
  std::optional<Interval> interval = {};  // of 95 %; none of a loss over one document
  std::optional<ArmCost> cost = {};       // where it was measured
  std::vector<double> document_nll = {};  // of a loss, by weight (LossRow::weighed_nll)
  std::vector<double> scores = {};        // of each question, in their order, where all are known
};

/// The standings of one task.
struct TaskStandings {
  std::string task = {}, title = {};
  bool is_loss = false;      // lower is better
  bool by_position = false;  // lengths are where positions in one long text end
  std::vector<Standing> standings = {};

  bool better(double a, double b) const { return is_loss ? a < b : a > b; }
  std::vector<Standing> at(int64_t length) const;
  std::vector<int64_t> lengths() const;
  /// In the order of their first standings: the same colour in every chart.
  std::vector<std::string> labels() const;
};

/// Rows of several depths or kinds are pooled by their `n`; the interval of a pooled score is
/// Wilson's. A task whose rows have neither score nor nll has no standings. Of positions the last
/// alone have the cost of their length: it is that of the text which was read.
std::vector<TaskStandings> standings_of(const std::vector<EvalResult>& results,
                                        const std::vector<TaskComparison>& comparisons);

/// By statistics.h: of losses whether their documents tell them apart, of scores whether the
/// questions do, where each has as many scores; else whether the 95 % intervals of both have no
/// value in common.
bool told_apart(const Standing& a, const Standing& b);

/// The standings that no other beats in value without costing more, by cost; those alone that have
/// a cost.
std::vector<Standing> pareto_front(const TaskStandings& task, std::vector<Standing> standings);

/// b of the least-squares fit cost = a * length^b; none for fewer than two lengths.
std::optional<double> fitted_exponent(const std::vector<std::pair<int64_t, double>>& costs);

}  // namespace longspan
