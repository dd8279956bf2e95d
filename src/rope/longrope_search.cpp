#include "src/rope/longrope_search.h"

#include <algorithm>
#include <cmath>
#include <random>
#include <set>

#include "src/core/random.h"
#include "src/rope/critical_dimension.h"

namespace longspan {

namespace {

constexpr double kProbability = 0.3;  // of a pair to be mutated or crossed
constexpr double kStep = 0.01;
constexpr double kHeadroom = 1.25;  // the largest lambda over the factor
constexpr double kHeadroom2 = 2;    // the same of LongRoPE2
constexpr double kTurns2 = 10;      // of the first pair that may be LongRoPE2's critical one
constexpr int kTries = 100;         // for a candidate that was not seen before

using Factors = std::vector<double>;

/// One iteration's draws, made from seed and iteration alone.
class Draws {
 public:
  Draws(uint64_t seed, int64_t iteration) {
    std::seed_seq sequence{seed & 0xffffffff, seed >> 32, static_cast<uint64_t>(iteration)};
    generator_.seed(sequence);
  }
  double uniform() { return draw_uniform(generator_); }
  size_t index(size_t size) { return static_cast<size_t>(uniform() * static_cast<double>(size)); }
  bool happens() { return uniform() < kProbability; }

 private:
  std::mt19937_64 generator_;
};

double draw_factor(double low, double high, Draws& draws) {
  const double drawn = low + draws.uniform() * (high - low);
  return std::clamp(std::round(drawn / kStep) * kStep, low, high);
}

/// The factors that may be searched, from the pair `first` on; those before it follow from it.
struct SearchSpace {
  int64_t first = 0;
  double least = 1, largest = 1;
};

Factors mutate(Factors factors, const SearchSpace& space, Draws& draws) {
  const auto first = static_cast<size_t>(space.first);
  for (size_t i = first; i < factors.size(); ++i) {
    if (!draws.happens()) continue;
    double low = i == first ? space.least : factors[i - 1];
    double high = i + 1 == factors.size() ? std::max(space.largest, factors[i]) : factors[i + 1];
    factors[i] = draw_factor(low, high, draws);
  }
  scale_before(space.first, factors);
  return factors;
}

Factors cross(Factors factors, const Factors& other, Draws& draws) {
  for (size_t i = 0; i < factors.size(); ++i) {
    if (draws.happens()) factors[i] = other[i];
  }
  return factors;
}

class Search {
 public:
  Search(const LongRopeSearchOptions& options, const std::function<double(const Factors&)>& loss)
      : options_(options), loss_(loss) {}

  /// Evaluates what was not seen before; returns whether it was new.
  bool add(const Factors& factors, int64_t critical_pair = 0) {
    if (!seen_.insert(factors).second) return false;
    population_.push_back({factors, loss_(factors), critical_pair});
    return true;
  }

  void add_mutation(const Factors& parent, int64_t critical_pair, Draws& draws) {
    const SearchSpace space{critical_pair, options_.longrope2 ? options_.factor : 1.0,
                            (options_.longrope2 ? kHeadroom2 : kHeadroom) * options_.factor};
    for (int i = 0; i < kTries; ++i) {
      if (add(mutate(parent, space, draws), critical_pair)) return;
    }
  }

  /// Falls back to a mutation where no mix of the two is monotonic and new.
  void add_crossover(const Factors& parent, const Factors& other, Draws& draws) {
    for (int i = 0; i < kTries; ++i) {
      Factors mixed = cross(parent, other, draws);
      if (std::is_sorted(mixed.begin(), mixed.end()) && add(mixed)) return;
    }
    add_mutation(parent, /*critical_pair=*/0, draws);
  }

  void keep_best(size_t count) {
    std::stable_sort(population_.begin(), population_.end(),
                     [](const auto& a, const auto& b) { return a.loss < b.loss; });
    population_.resize(std::min(count, population_.size()));
  }

  const std::vector<LongRopeIndividual>& population() const { return population_; }

 private:
  const LongRopeSearchOptions& options_;
  const std::function<double(const Factors&)>& loss_;
  std::set<Factors> seen_;
  std::vector<LongRopeIndividual> population_;
};

}  // namespace

std::vector<LongRopeStart> longrope_starts(const RopeGeometry& geometry, double factor) {
  std::vector<LongRopeStart> starts;
  Factors unscaled = unscaled_inv_freq(geometry);
  for (const char* rope_type : {"linear", "ntk", "yarn"}) {
    Json keys = {{"factor", factor}};
    Diagnostics diagnostics;
    Fields fields(keys, diagnostics);
    auto scaling = make_rope_scaling(rope_type);
    scaling->read(fields);
    diagnostics.throw_if_any(ExitCode::kUsage);
    Factors scaled = scaling->frequencies(geometry, geometry.max_position_embeddings).inv_freq;
    Factors factors(unscaled.size());
    for (size_t i = 0; i < factors.size(); ++i) {
      factors[i] = unscaled[i] / scaled[i];
      // Rounding of the frequencies must not break the order.
      if (i > 0) factors[i] = std::max(factors[i], factors[i - 1]);
    }
    starts.push_back({rope_type, std::move(factors)});
  }
  return starts;
}

std::vector<LongRopeStart> longrope2_starts(const RopeGeometry& geometry,
                                            const LongRopeSearchOptions& options) {
  Draws draws(options.seed, /*iteration=*/-1);
  std::vector<LongRopeStart> starts;
  for (int64_t pair = critical_pair(geometry, kTurns2); pair <= critical_pair(geometry); ++pair) {
    const double factor = draw_factor(options.factor, kHeadroom2 * options.factor, draws);
    Factors factors(static_cast<size_t>(geometry.head_dim / 2), factor);
    scale_before(pair, factors);
    starts.push_back({"longrope", std::move(factors), pair});
  }
  return starts;
}

LongRopeIndividual search_longrope(
    const LongRopeSearchOptions& options, const std::vector<LongRopeStart>& starts,
    const std::function<double(const Factors&)>& loss,
    const std::function<void(int64_t, const std::vector<LongRopeIndividual>&)>& after_iteration) {
  Search search(options, loss);
  Draws first(options.seed, 0);
  for (const auto& start : starts) search.add(start.rescale_factors, start.critical_pair);
  for (auto i = std::ssize(starts); i < options.population; ++i) {
    const LongRopeStart& start = starts[static_cast<size_t>(i) % starts.size()];
    search.add_mutation(start.rescale_factors, start.critical_pair, first);
  }
  int64_t parents_size = std::max<int64_t>(options.population / 2, 2);
  int64_t mutations =
      options.longrope2 ? options.population - parents_size : options.population / 4;
  int64_t crossovers = options.population - parents_size - mutations;
  for (int64_t iteration = 1;; ++iteration) {
    search.keep_best(static_cast<size_t>(parents_size));
    auto parents = search.population();
    if (after_iteration) after_iteration(iteration - 1, parents);
    if (iteration > options.iterations) return parents.front();
    Draws draws(options.seed, iteration);
    auto parent = [&]() -> const LongRopeIndividual& {
      return parents[draws.index(parents.size())];
    };
    for (int64_t i = 0; i < mutations; ++i) {
      const LongRopeIndividual& one = parent();
      search.add_mutation(one.rescale_factors, one.critical_pair, draws);
    }
    for (int64_t i = 0; i < crossovers; ++i) {
      const LongRopeIndividual& one = parent();
      search.add_crossover(one.rescale_factors, parent().rescale_factors, draws);
    }
  }
}

}  // namespace longspan
