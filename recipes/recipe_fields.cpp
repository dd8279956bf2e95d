#include "recipes/recipe_fields.h"

#include "recipes/recipe_checks.h"
#include "src/core/fields_reader.h"

namespace longspan {

void fields(FieldsIo& io, ModelOptions& options) {
  io.text("path", options.path,
          "the base: a folder in Hugging Face's or Meta's layout, a file of weights, a GGUF, or a "
          "name that `longspan pull` fetched",
          {.required = true});
  io.choice("dtype", options.dtype, {"bfloat16", "float32"},
            "what the model runs in; the optimizer keeps trained weights in float32 anyway");
  io.choice("quantization", options.quantization, {"none", "nf4", "int8"},
            "of the frozen projections; all other weights stay in `dtype`");
  io.choice("on_scaled", options.on_scaled, on_scaled_names(),
            "what `rope` means on a base whose RoPE is scaled");
  io.prose(
      "With `quantization` the adapter is trained on rounded weights; `merge` adds it to the "
      "base's own and says how far these are from each other.");
  io.prose(
      "With `on_scaled: replace` the factor of `rope` counts from the base's original length, with "
      "`compose` from its present context. Beside a linear factor `max_position_embeddings` is the "
      "extended length in some models and still the original one in others. What decides is "
      "`original_max_position_embeddings` in the model's config.json, another of its keys of "
      "length, or that no model was trained with less than 2,048; where nothing does, a run that "
      "depends on it stops and names both.");
}

void fields(FieldsIo& io, DataOptions& options) {
  io.text("path", options.path,
          "a token store of `longspan prepare`, made with the base's tokenizer",
          {.required = true});
  io.whole("min_document_tokens", options.min_document_tokens, {1, int64_t{1} << 40},
           "shorter documents are left out");
  const bool keep_share_given = io.given("keep_share");
  const bool has_scores = !io.writing() || !options.scores.empty();
  io.text("scores", options.scores,
          "a file that `longspan data-score` wrote of this store: the documents that far context "
          "tells most of are used alone (LongFilter, arXiv:2510.25804)",
          {.otherwise = "none", .written = has_scores});
  io.number("keep_share", options.keep_share, {1e-6, 1},
            "of `scores`: the part of the store's tokens that is used, in the documents of the "
            "highest scores",
            {.written = has_scores});
  if (keep_share_given && options.scores.empty()) {
    io.error("keep_share",
             "is for data.scores, the file that longspan data-score writes; give "
             "that too, or leave keep_share out");
  }
  io.flag("only_full_passages", options.only_full_passages,
          "`true`: no row mixes documents or is padded");
  io.flag("shuffle", options.shuffle,
          "a new order of the rows each epoch, drawn from `train.seed`");
  io.prose(
      "A document is cut into passages of seq_len + 1 tokens, each a row. What is left at its end "
      "is packed into rows with the ends of others, or with `only_full_passages` not used. "
      "`focused_memory` takes passages of as many windows as its `schedule` has, side by side, and "
      "no rests. `train` says at its start how much of the store each stage leaves out.");
}

void fields(FieldsIo& io, PackingOptions& options) {
  io.choice("positions", options.positions, {"consecutive", "skip"},
            "`skip`: a row of `seq_len` tokens has the positions of a text of `target_length`: up "
            "to a drawn place one after the other, then on from a drawn position (PoSE, "
            "arXiv:2309.10400); the cost is that of `seq_len`");
  const bool given = io.given("target_length");
  io.whole("target_length", options.target_length, {0, kLongestSequence},
           "of `skip`: tokens, no more than the context that `rope` makes",
           {.otherwise = "required by `skip`", .written = options.target_length > 0});
  if (options.skips() && options.target_length == 0) {
    io.error("target_length", "positions: skip needs it: the length that the model is to reach");
  } else if (!options.skips() && given) {
    io.error("target_length", "is for positions: skip; leave one of the two out");
  }
  io.flag("document_mask", options.document_mask,
          "`false`: a row that mixes documents is read as one text, in which they see those before "
          "them; positions go on through it, and the last token of each (EOS) is read too, as what "
          "separates it from the next",
          {.written = !options.document_mask || !io.writing()});
}

namespace {

/// The map `train`. A resolved recipe says in `stages` what a stage may have of its own.
struct TrainMap {
  Stage& stage;
  TrainerOptions& options;
  bool has_stages;
};

void fields(FieldsIo& io, TrainMap& train) {
  if (!io.writing()) {
    if (!train.has_stages) {
      steps_field(io, train.stage,
                  "updates of the weights; with `stages` each of them has its own, and this key is "
                  "an error");
    } else if (io.given("steps")) {
      io.error("steps", "there are stages; give steps in each of them instead");
    }
    row_fields(io, train.stage, /*own=*/false);
  }
  fields(io, train.options);
  if (io.given("recompute")) {
    io.error("recompute", "is now memory.recompute: none, selective, selective++, layer or auto");
  }
}

/// The map `output`.
struct OutputMap {
  std::string& dir;
};

void fields(FieldsIo& io, OutputMap& output) {
  io.text("dir", output.dir, "the folder of the run", {.otherwise = "`runs/NAME`, of NAME.yaml"});
}

void stages_field(FieldsIo& io, const Stage& shared, std::vector<Stage>& stages) {
  io.maps("stages", stages, shared,
          "A list; the run goes through it in order. What a stage does not say itself it takes "
          "from `train`, `rope` and `attention`; a `rope` or `attention` of its own stands in "
          "place of the whole map. Without `stages` there is one stage of `train.steps`.\n\n"
          "Stages of one seq_len and store take their rows from one order, so that no text repeats "
          "within an epoch. A stage of another seq_len cuts the documents into other rows, with an "
          "order of their own, and begins at the row whose number is that of the rows already "
          "trained of that store: it may repeat text of the stages before, and skip some.\n\n"
          "With `train.interleave: true` stages take turns, each seq_len through all rows of its "
          "own, and must have one `rope`, that of the model they leave. Rows of the original "
          "length and longer ones in turn, under a "
          "`longrope` whose short_factor is all 1 and whose attention_factor is 1, are the mixed "
          "windows of LongRoPE2 (arXiv:2502.20082): short text keeps the RoPE of the base, is "
          "trained with it, and costs nothing in the model that is exported.");
  if (stages.empty()) io.error("stages", "expected at least one stage, or no such key");
}

}  // namespace

void fields(FieldsIo& io, Recipe& recipe) {
  const bool has_stages = io.given("stages");
  Stage shared{.attention = make_attention_pattern("full")};
  TrainMap train{shared, recipe.train, has_stages};
  OutputMap output{recipe.output_dir};
  io.map("model", recipe.model, {.required = true});
  io.map("data", recipe.data, {.required = true});
  io.map("packing", recipe.packing);
  io.map("lora", recipe.lora, {.none = &recipe.lora.none});
  if (!io.writing()) rope_and_attention_fields(io, shared, /*own=*/false);
  io.map("train", train);
  io.map("memory", recipe.train.memory);
  if (io.reading() && !has_stages) {
    recipe.stages = {shared};
  } else {
    stages_field(io, shared, recipe.stages);
  }
  io.map("loss", recipe.train.loss);
  io.map("optimizer", recipe.train.optimizer);
  io.map("lr_schedule", recipe.train.lr_schedule);
  if (!io.reading() || io.given("validation")) {
    io.map("validation", recipe.validation, {.written = !recipe.validation.path.empty()});
  }
  io.map("checkpoint", recipe.checkpoint);
  io.map("output", output);
  if (Fields* root = io.reading()) check_maps_together(recipe, has_stages, *root);
}

Recipe read_recipe(Fields root) {
  Recipe recipe;
  FieldsReader reader(root);
  fields(reader, recipe);
  for (Stage& stage : recipe.stages) {
    stage.on_scaled = parse_on_scaled(recipe.model.on_scaled, "model.on_scaled");
  }
  root.finish();
  return recipe;
}

void read_rope_file(Json& rope, const std::string& key_path, Diagnostics& diagnostics) {
  if (!rope.is_string()) return;
  try {
    rope = read_json_file(rope.get<std::string>(), ExitCode::kRecipe);
  } catch (const Error& e) {
    rope = nullptr;
    diagnostics.error(key_path,
                      fmt::format("{}; expected a map such as {{rope_type: linear, factor: 4.0}}, "
                                  "or the path of a JSON file that holds one",
                                  e.what()));
  }
}

}  // namespace longspan
