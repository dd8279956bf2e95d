#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <limits>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "src/core/fields_io.h"

namespace longspan {

/// The seeds that a task takes.
constexpr Range<int64_t> kSeeds{0, std::numeric_limits<int64_t>::max()};

/// What the items of a task are drawn by: a pure function of its seeds, the same on every machine.
class Draw {
 public:
  /// `task` keeps tasks with equal numbers apart.
  Draw(std::string_view task, std::initializer_list<int64_t> seeds);

  /// 0 .. count - 1.
  int64_t below(int64_t count) {
    return static_cast<int64_t>(generator_() % static_cast<uint64_t>(count));
  }
  template <class T>
  void shuffle(std::vector<T>& values) {
    for (size_t i = values.size(); i > 1; --i) {
      std::swap(values[i - 1], values[below(static_cast<int64_t>(i))]);
    }
  }

  /// 0 to 1, in thousandths.
  double depth() { return static_cast<double>(below(1001)) / 1000; }
  /// `count` digits, the first of them not 0.
  std::string number(int count);
  /// `count` letters from `first` ('a' or 'A') on.
  std::string letters(int count, char first);
  /// "f728b4fa-4248-4e3a-8a5d-2f346baa9455", of version 4.
  std::string uuid();
  /// "quiet-harbor", one of word_pairs().
  std::string word_pair();

 private:
  std::mt19937_64 generator_;
};

/// How many different texts Draw::word_pair() has.
int64_t word_pairs();

/// `count` texts that differ from each other and from `taken`, which they join.
std::vector<std::string> distinct(int64_t count, std::set<std::string>& taken,
                                  const std::function<std::string()>& make);

/// 0, 1/(count-1), .., 1; one alone is at 0.5.
std::vector<double> even_depths(int64_t count);

}  // namespace longspan
