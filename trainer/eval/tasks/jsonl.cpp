#include "trainer/eval/tasks/jsonl.h"

#include <algorithm>
#include <iterator>

#include "src/core/log.h"
#include "src/core/text.h"
#include "trainer/eval/tasks/haystack.h"
#include "trainer/eval/tasks/item_file.h"

namespace longspan {

namespace {

/// The nearest place at or before `at` where a character of UTF-8 begins.
size_t character_start(const std::string& text, size_t at) {
  while (at > 0 && at < text.size() && (static_cast<unsigned char>(text[at]) & 0xc0) == 0x80) --at;
  return at;
}

}  // namespace

DrawnItem cut_middle(const EvalSubject& subject, const DrawnItem& item, int64_t length) {
  if (item_tokens(subject, item) <= length) return item;
  const std::string& whole = item.passage.context;
  return largest_item(subject, length, 0, "jsonl", [&](int64_t half) {
    if (2 * half >= std::ssize(whole)) return item;  // whose halves may leave out a byte
    DrawnItem cut = item;
    const auto kept = std::min(static_cast<size_t>(half), whole.size() / 2);
    cut.passage.context = whole.substr(0, character_start(whole, kept)) +
                          whole.substr(character_start(whole, whole.size() - kept));
    return cut;
  });
}

void JsonlTask::fields(FieldsIo& io) {
  io.texts("items", items_, "files of items");
  io.choice("format", format_, item_formats(), "of the files (item_file.h)");
  io.whole("limit", limit_, {0, int64_t{1} << 40}, "the first so many items of each file",
           {.otherwise = "all"});
  io.choice("too_long", too_long_, {"skip", "middle"},
            "`skip` asks an item once, at the shortest length that holds it; `middle` at every "
            "length, with the middle of its context cut out, as LongBench does");
}

std::vector<std::filesystem::path> JsonlTask::inputs() const {
  return {items_.begin(), items_.end()};
}

void JsonlTask::check(const EvalOptions&) const {
  if (items_.empty()) {
    fail(ExitCode::kUsage,
         "jsonl: no items given; name files of {{\"context\", \"question\", \"answers\"}} with "
         "--items FILE");
  }
}

std::vector<DrawnItem> JsonlTask::read_items() const {
  std::vector<DrawnItem> items;
  for (const auto& file : items_) {
    auto more = read_item_file(file, format_);
    if (limit_ > 0 && std::ssize(more) > limit_) more.resize(limit_);
    std::move(more.begin(), more.end(), std::back_inserter(items));
  }
  return items;
}

void JsonlTask::draw_items(const EvalSubject& subject, const std::vector<int64_t>& lengths,
                           const Use& use) const {
  const std::vector<DrawnItem> items = read_items();
  if (too_long_ == "middle") {
    for (const int64_t length : lengths) {
      for (const auto& item : items) use(length, cut_middle(subject, item, length));
    }
    return;
  }
  std::vector<int64_t> rising = lengths;
  std::sort(rising.begin(), rising.end());
  int64_t left_out = 0, used = 0;
  for (const auto& item : items) {
    const auto bucket = std::lower_bound(rising.begin(), rising.end(), item_tokens(subject, item));
    if (bucket == rising.end()) {
      ++left_out;
      continue;
    }
    ++used;
    use(*bucket, item);
  }
  const auto advice = "give longer --lengths, or --set jsonl.too_long=middle to cut them";
  if (used == 0) {
    fail(ExitCode::kData, "jsonl: all {} items have more than {} tokens; {}", left_out,
         human_count(rising.back()), advice);
  }
  if (left_out > 0) {
    log_warning_once(
        fmt::format("jsonl: {} of {} items have more than {} tokens and are left out; {}", left_out,
                    items.size(), human_count(rising.back()), advice));
  }
}

Json JsonlTask::rules() const {
  return {{"rule",
           too_long_ == "middle"
               ? "each item at every length, the middle of its context cut out where it is too long"
               : "each item once, under the shortest length that holds it with its question and "
                 "answer"},
          {"items", file_names(items_)}};
}

}  // namespace longspan
