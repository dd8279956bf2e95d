#pragma once

#include <functional>
#include <string>
#include <vector>

#include "trainer/eval/arms/arm.h"

namespace longspan {

/// What needles are hidden in: units one after another, without end.
struct Haystack {
  std::function<std::string(int64_t index)> unit;
  std::string joiner;
};

/// RULER's noise (arXiv 2404.06654): a line of five sentences for ever again.
Haystack noise_haystack();
/// The sentences of the documents in `files`, over and over; RULER's noise of no files. Documents
/// without a sentence are Error(kData) that names `key_path`.
Haystack haystack_of(const std::vector<std::string>& files, const std::string& key_path);
/// A text cut behind ". ", "! ", "? " and at line ends, without the white space between.
std::vector<std::string> sentences_of(const std::string& text);
/// The names of the files, without their folders: the same book in another folder is the same hay.
std::vector<std::string> file_names(const std::vector<std::string>& files);

/// A text to hide and how much of the hay comes before it, 0 to 1.
struct Hidden {
  std::string text;
  double depth = 0;
};

/// A haystack of so many units with what is hidden in it, each at the nearest gap between units.
struct Stack {
  std::string text;
  std::vector<Span> spans;  // where hidden[i] stands
};
Stack hide(const Haystack& haystack, int64_t units, const std::vector<Hidden>& hidden);

}  // namespace longspan
