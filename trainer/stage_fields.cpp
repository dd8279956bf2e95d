#include "trainer/stage.h"

namespace longspan {

namespace {

FieldVariants rope_variants(Stage& stage) {
  const Json path = {{"type", "string"},
                     {"description", "the path of a JSON file with such a map"}};
  return {.names = rope_types(),
          .read = [&](Fields map) { stage.rope = read_rope_scaling(std::move(map)); },
          .write = [&] { return stage.rope ? write_rope_scaling(*stage.rope) : Json(); },
          .describe = describe_rope_scaling,
          .other_form = path};
}

FieldVariants attention_variants(Stage& stage) {
  return {.names = attention_patterns(),
          .read = [&](Fields map) { stage.attention = read_attention_pattern(std::move(map)); },
          .write = [&] { return write_attention_pattern(*stage.attention); },
          .describe = describe_attention_pattern};
}

}  // namespace

void steps_field(FieldsIo& io, Stage& stage, std::string_view meaning) {
  stage.steps = io.reading() ? 1 : stage.steps;  // so that one that is missing is one error
  io.whole("steps", stage.steps, {1, int64_t{1} << 40}, meaning, {.required = true});
}

void row_fields(FieldsIo& io, Stage& stage, bool own) {
  const auto whole = [&](std::string_view key, int64_t& value, Range<int64_t> range,
                         std::string_view meaning, std::string_view otherwise) {
    io.whole(key, value, range, meaning, {.otherwise = own ? otherwise : ""});
  };
  whole("seq_len", stage.seq_len, {2, kLongestSequence}, "tokens of a row", "`train.seq_len`");
  whole("batch_size", stage.batch_size, {1, 1 << 16}, "rows of a pass", "`train.batch_size`");
  whole("gradient_accumulation_steps", stage.gradient_accumulation_steps, {1, 1 << 16},
        "passes of an update", "`train.gradient_accumulation_steps`");
}

void rope_and_attention_fields(FieldsIo& io, Stage& stage, bool own) {
  io.variants("attention", attention_variants(stage), own ? "a map as above" : "",
              {.otherwise = own ? "`attention`" : ""});
  constexpr std::string_view kRope =
      "How the RoPE of the base is stretched: a map, or the path of a JSON file with such a map, "
      "as `longspan longrope-search` writes one. Without it the RoPE stays that of the base. The "
      "keys are those of transformers. The context becomes the original length times `factor`; a "
      "longer sequence is an error.";
  io.variants("rope", rope_variants(stage), own ? "a map as above, or the path of a file" : kRope,
              {.otherwise = own ? "`rope`" : ""});
}

void fields(FieldsIo& io, Stage& stage) {
  steps_field(io, stage, "updates of the weights");
  row_fields(io, stage, /*own=*/true);
  io.text("data_path", stage.data_path,
          "a token store of its own, to which all but `scores` of `data` applies too",
          {.otherwise = "`data.path`", .written = !io.writing() || !stage.data_path.empty()});
  rope_and_attention_fields(io, stage, /*own=*/true);
}

}  // namespace longspan
