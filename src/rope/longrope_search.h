#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "src/rope/rope_scaling.h"

namespace longspan {

/// One candidate of the search. The frequency of pair i is divided by rescale_factors[i] (lambda in
/// the paper), which never falls from one pair to the next.
struct LongRopeIndividual {
  std::vector<double> rescale_factors;  // [head_dim / 2]
  double loss = 0;
  int64_t critical_pair = 0;  // of LongRoPE2: the pair from which on its factors are searched
};

/// Factors of a known scaling that the search may begin with.
struct LongRopeStart {
  std::string rope_type;
  std::vector<double> rescale_factors;
  int64_t critical_pair = 0;
};

/// The rescale factors that equal linear (PI), ntk and yarn scaling by `factor`.
std::vector<LongRopeStart> longrope_starts(const RopeGeometry& geometry, double factor);

/// How far and how long is searched.
struct LongRopeSearchOptions {
  double factor = 2.0;      // lambda is searched from 1 to 1.25 x factor in steps of 0.01
  bool longrope2 = false;   // from factor to 2 x factor, from the critical pair on alone
  int64_t population = 64;  // evaluated before the first iteration, `starts` first
  int64_t iterations = 40;  // each evaluates half a population
  uint64_t seed = 0;
};

/// LongRoPE2's (Shang et al. 2025, arXiv 2502.20082, algorithm 1): one for each pair that may be
/// the real critical one, from the first that turns no more than ten times within the original
/// length to the theoretical one (critical_dimension.h). From it on the factor is one, drawn from
/// `factor` to 2 x factor by `seed`. The paper's line 6 takes the base of the first candidate for
/// all of them, under which factors would fall at the critical pair; here each has its own, as in
/// algorithm 2.
std::vector<LongRopeStart> longrope2_starts(const RopeGeometry& geometry,
                                            const LongRopeSearchOptions& options);

/// Evolutionary search of LongRoPE's factors (Ding et al. 2024, arXiv 2402.13753, algorithm 1). The
/// first population is `starts` and mutations of them. Each iteration keeps the better half as
/// parents, mutates a quarter of the population from them and crosses another quarter. A mutation
/// draws a pair's factor anew between those of its neighbours, a crossover takes it from the second
/// parent, each with probability 0.3 a pair. Nothing is evaluated twice.
///
/// The paper's second variable, the first n tokens that stay unscaled, is left out: no config.json,
/// GGUF or runtime can say it, and neither do Microsoft's own LongRoPE models.
///
/// LongRoPE2's (algorithm 2) has no crossover. A candidate keeps its critical pair: the factors
/// from it on are mutated, those before it follow from it (scale_before). So the real critical
/// dimension is that of the best.
///
/// `loss` is called in an order that options and its own results decide, so that a search whose
/// losses are remembered (see trainer/eval/answer_journal.h) goes on where it was stopped.
/// `after_iteration` (may be null) gets the number of finished iterations and the parents, best
/// first. Returns the best individual.
LongRopeIndividual search_longrope(
    const LongRopeSearchOptions& options, const std::vector<LongRopeStart>& starts,
    const std::function<double(const std::vector<double>& rescale_factors)>& loss,
    const std::function<void(int64_t iteration, const std::vector<LongRopeIndividual>& parents)>&
        after_iteration = nullptr);

}  // namespace longspan
