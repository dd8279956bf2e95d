#include "trainer/eval/tasks/draw.h"

#include <fmt/format.h>

#include <iterator>

namespace longspan {

namespace {

constexpr std::string_view kAdjectives[] = {
    "able",    "amber",  "ample",  "ancient", "angry",  "awake",   "bitter", "blank",  "bold",
    "brave",   "brief",  "bright", "broad",   "calm",   "careful", "cheap",  "clean",  "clever",
    "cold",    "common", "cool",   "curious", "damp",   "dark",    "deep",   "dense",  "distant",
    "dry",     "eager",  "early",  "easy",    "empty",  "exact",   "faint",  "fair",   "famous",
    "fast",    "fierce", "flat",   "fond",    "formal", "free",    "fresh",  "gentle", "glad",
    "golden",  "grand",  "green",  "happy",   "harsh",  "heavy",   "hollow", "honest", "humble",
    "idle",    "ivory",  "jolly",  "keen",    "kind",   "large",   "late",   "lively", "lonely",
    "loose",   "loud",   "loyal",  "mellow",  "mild",   "modest",  "narrow", "neat",   "noble",
    "odd",     "open",   "pale",   "placid",  "plain",  "polite",  "proud",  "quick",  "quiet",
    "rapid",   "rare",   "ready",  "rich",    "ripe",   "rough",   "round",  "sharp",  "silent",
    "silver",  "simple", "sleepy", "slow",    "smooth", "solid",   "stable", "steep",  "stern",
    "strange", "sturdy", "subtle", "sweet",   "swift",  "tall",    "tender", "thin",   "tidy",
    "upbeat",  "urban",  "vast",   "vivid",   "warm",   "wary",    "wild",   "wise",   "young"};
constexpr std::string_view kNouns[] = {
    "anchor",   "apple",   "arrow",   "badge",  "barrel", "basket",   "beach",   "bell",
    "bench",    "blanket", "bottle",  "branch", "bridge", "bucket",   "button",  "cabin",
    "camera",   "candle",  "canyon",  "carpet", "castle", "chair",    "circle",  "clock",
    "cloud",    "coat",    "copper",  "corner", "cradle", "desert",   "door",    "dragon",
    "engine",   "feather", "fence",   "field",  "flame",  "flute",    "forest",  "fountain",
    "garden",   "gate",    "glass",   "hammer", "harbor", "hill",     "horse",   "island",
    "jacket",   "jewel",   "kettle",  "ladder", "lake",   "lamp",     "lantern", "leaf",
    "letter",   "market",  "meadow",  "mirror", "moon",   "mountain", "needle",  "novel",
    "ocean",    "orchard", "oven",    "paper",  "pencil", "piano",    "pillow",  "planet",
    "pocket",   "pond",    "quarry",  "ribbon", "river",  "road",     "roof",    "rope",
    "saddle",   "sail",    "school",  "shadow", "shelf",  "shield",   "ship",    "shore",
    "signal",   "spoon",   "square",  "stairs", "stone",  "storm",    "street",  "sugar",
    "summit",   "table",   "temple",  "tent",   "ticket", "tower",    "train",   "tunnel",
    "umbrella", "valley",  "village", "violin", "wagon",  "wall",     "wheel",   "whistle",
    "window",   "winter",  "wood",    "yard",   "yarn"};

/// FNV-1a, which is the same everywhere, as std::hash need not be.
uint32_t hash_of(std::string_view text) {
  uint32_t hash = 0x811c9dc5;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x01000193;
  return hash;
}

}  // namespace

Draw::Draw(std::string_view task, std::initializer_list<int64_t> seeds) {
  std::vector<uint32_t> words{hash_of(task)};
  for (const int64_t seed : seeds) {
    words.push_back(static_cast<uint32_t>(seed));
    words.push_back(static_cast<uint32_t>(static_cast<uint64_t>(seed) >> 32));
  }
  std::seed_seq mixed(words.begin(), words.end());
  generator_.seed(mixed);
}

std::string Draw::number(int count) {
  std::string digits;
  for (int i = 0; i < count; ++i) {
    digits += static_cast<char>(i == 0 ? '1' + below(9) : '0' + below(10));
  }
  return digits;
}

std::string Draw::letters(int count, char first) {
  std::string text;
  for (int i = 0; i < count; ++i) text += static_cast<char>(first + below(26));
  return text;
}

std::string Draw::uuid() {
  const uint64_t high = generator_(), low = generator_();
  return fmt::format("{:08x}-{:04x}-4{:03x}-{:x}{:03x}-{:012x}", high >> 32, high >> 16 & 0xffff,
                     high & 0xfff, 8 + (low >> 62), low >> 48 & 0xfff, low & 0xffffffffffff);
}

std::string Draw::word_pair() {
  const std::string_view adjective = kAdjectives[below(std::ssize(kAdjectives))];
  return fmt::format("{}-{}", adjective, kNouns[below(std::ssize(kNouns))]);
}

int64_t word_pairs() { return std::ssize(kAdjectives) * std::ssize(kNouns); }

std::vector<std::string> distinct(int64_t count, std::set<std::string>& taken,
                                  const std::function<std::string()>& make) {
  std::vector<std::string> drawn;
  while (std::ssize(drawn) < count) {
    std::string text = make();
    if (taken.insert(text).second) drawn.push_back(std::move(text));
  }
  return drawn;
}

std::vector<double> even_depths(int64_t count) {
  if (count == 1) return {0.5};
  std::vector<double> depths;
  for (int64_t i = 0; i < count; ++i) {
    depths.push_back(static_cast<double>(i) / static_cast<double>(count - 1));
  }
  return depths;
}

}  // namespace longspan
