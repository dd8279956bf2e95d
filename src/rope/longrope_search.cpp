#include "src/rope/longrope_search.h"

#include <algorithm>
#include <cmath>
#include <random>
#include <set>

#include "src/core/random.h"

namespace longspan {

namespace {

constexpr double kProbability = 0.3;  // of a pair to be mutated or crossed
constexpr double kStep = 0.01;
constexpr double kHeadroom = 1.25;  // the largest lambda over the factor
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

Factors mutate(Factors factors, double largest, Draws& draws) {
  for (size_t i = 0; i < factors.size(); ++i) {
    if (!draws.happens()) continue;
    double low = i == 0 ? 1.0 : factors[i - 1];
    double high = i + 1 == factors.size() ? std::max(largest, factors[i]) : factors[i + 1];
    double drawn = low + draws.uniform() * (high - low);
    factors[i] = std::clamp(std::round(drawn / kStep) * kStep, low, high);
  }
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
  bool add(const Factors& factors) {
    if (!seen_.insert(factors).second) return false;
    population_.push_back({factors, loss_(factors)});
    return true;
  }

  void add_mutation(const Factors& parent, Draws& draws) {
    double largest = kHeadroom * options_.factor;
    for (int i = 0; i < kTries; ++i) {
      if (add(mutate(parent, largest, draws))) return;
    }
  }

  /// Falls back to a mutation where no mix of the two is monotonic and new.
  void add_crossover(const Factors& parent, const Factors& other, Draws& draws) {
    for (int i = 0; i < kTries; ++i) {
      Factors mixed = cross(parent, other, draws);
      if (std::is_sorted(mixed.begin(), mixed.end()) && add(mixed)) return;
    }
    add_mutation(parent, draws);
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

LongRopeIndividual search_longrope(
    const LongRopeSearchOptions& options, const std::vector<LongRopeStart>& starts,
    const std::function<double(const Factors&)>& loss,
    const std::function<void(int64_t, const std::vector<LongRopeIndividual>&)>& after_iteration) {
  Search search(options, loss);
  Draws first(options.seed, 0);
  for (const auto& start : starts) search.add(start.rescale_factors);
  for (auto i = std::ssize(starts); i < options.population; ++i) {
    search.add_mutation(starts[static_cast<size_t>(i) % starts.size()].rescale_factors, first);
  }
  int64_t parents_size = std::max<int64_t>(options.population / 2, 2);
  int64_t mutations = options.population / 4;
  int64_t crossovers = options.population - parents_size - mutations;
  for (int64_t iteration = 1;; ++iteration) {
    search.keep_best(static_cast<size_t>(parents_size));
    auto parents = search.population();
    if (after_iteration) after_iteration(iteration - 1, parents);
    if (iteration > options.iterations) return parents.front();
    Draws draws(options.seed, iteration);
    auto parent = [&]() -> const Factors& {
      return parents[draws.index(parents.size())].rescale_factors;
    };
    for (int64_t i = 0; i < mutations; ++i) search.add_mutation(parent(), draws);
    for (int64_t i = 0; i < crossovers; ++i) {
      const Factors& one = parent();
      search.add_crossover(one, parent(), draws);
    }
  }
}

}  // namespace longspan
