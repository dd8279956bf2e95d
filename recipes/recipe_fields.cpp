#include "recipes/recipe_fields.h"

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
          "Stages of one seq_len take their rows from one order, so that no text repeats within an "
          "epoch. A stage of another seq_len cuts the documents into other rows, with an order of "
          "their own, and begins at the row whose number is that of the rows already trained: it "
          "may repeat text of the stages before, and skip some.\n\n"
          "With `train.interleave: true` stages take turns and must have one `rope`, that of the "
          "model they leave. Rows of the original length and longer ones in turn, under a "
          "`longrope` whose short_factor is all 1 and whose attention_factor is 1, are the mixed "
          "windows of LongRoPE2 (arXiv:2502.20082): short text keeps the RoPE of the base, is "
          "trained with it, and costs nothing in the model that is exported.");
  if (stages.empty()) io.error("stages", "expected at least one stage, or no such key");
}

void check_memory(FieldsIo& io, const Recipe& recipe) {
  const bool mapped = recipe.train.memory.weights == FrozenWeights::kMapped;
  if (!mapped || recipe.model.quantization == "none") return;
  io.error("memory.weights",
           fmt::format("'mapped' is for weights as their file holds them, and {} "
                       "(model.quantization) is made in memory; expected resident or auto",
                       recipe.model.quantization));
}

/// What is of frozen weights or of LoRA's factors, of which `lora: none` has none.
void check_full_fine_tuning(FieldsIo& io, const Recipe& recipe) {
  if (!recipe.lora.none) return;
  if (recipe.model.quantization != "none") {
    io.error("model.quantization",
             fmt::format("'{}' is for frozen weights, and lora: none trains all of them; expected "
                         "none, or a map of lora",
                         recipe.model.quantization));
  }
  if (recipe.train.memory.weights == FrozenWeights::kMapped) {
    io.error("memory.weights",
             "'mapped' is for frozen weights, and lora: none trains all of them; expected resident "
             "or auto, or a map of lora");
  }
  if (recipe.train.optimizer.lora_plus_ratio != 1) {
    io.error("optimizer.lora_plus_ratio",
             "is for LoRA's B, and lora: none has none; leave it out, and give norms a learning "
             "rate of their own by optimizer.groups");
  }
}

void check_loss(FieldsIo& io, const Recipe& recipe) {
  if (!recipe.train.loss.long_minus_short()) return;
  const ShortContext& context = recipe.train.loss.short_context;
  bool is_long = false;
  for (const Stage& stage : recipe.stages) {
    is_long |= stage.seq_len >= context.tokens + context.step;
    if (stage.attention->passage_rows() == 0) continue;
    return io.error("loss.weights",
                    fmt::format("'long_minus_short' reads windows of a row, and with {} a row is a "
                                "window; take another",
                                stage.attention->name()));
  }
  if (is_long) return;
  io.error("loss.short_context",
           fmt::format("{} and a short_step of {} are all the context that any stage's rows have, "
                       "so that all tokens weigh 1; lower them, or leave loss.weights out",
                       context.tokens, context.step));
}

void check_packing(FieldsIo& io, const Recipe& recipe) {
  if (!recipe.packing.skips() || recipe.packing.target_length == 0) return;
  for (const Stage& stage : recipe.stages) {
    if (stage.seq_len < recipe.packing.target_length) return;
  }
  io.error("packing.target_length",
           fmt::format("{} leaves nothing to skip: every stage has rows of so many tokens or more; "
                       "lower seq_len, or leave packing out",
                       recipe.packing.target_length));
}

void check_attention(FieldsIo& io, const Recipe& recipe, bool has_stages) {
  for (size_t i = 0; i < recipe.stages.size(); ++i) {
    const Stage& stage = recipe.stages[i];
    std::string misfit = stage.attention->misfit_of_batch(stage.batch_size, stage.seq_len);
    if (misfit.empty() && stage.attention->passage_rows() > 0 && recipe.packing.skips()) {
      misfit = "its positions end with the window, and packing.positions is skip; leave that out";
    }
    if (misfit.empty()) continue;
    io.error(has_stages ? fmt::format("stages.{}.attention", i) : "attention", misfit);
  }
}

void check_interleave(FieldsIo& io, const Recipe& recipe) {
  if (!recipe.train.interleave) return;
  if (recipe.stages.size() < 2) {
    return io.error("train.interleave", "is for two stages or more; give stages, or leave it out");
  }
  const auto rope_of = [](const Stage& stage) {
    return stage.rope ? write_rope_scaling(*stage.rope) : Json();
  };
  for (size_t i = 0; i < recipe.stages.size(); ++i) {
    const Stage& stage = recipe.stages[i];
    if (rope_of(stage) != rope_of(recipe.stages.front())) {
      io.error(fmt::format("stages.{}.rope", i),
               "is another than that of stage 0, and stages that take turns leave one model; give "
               "rope once, beside stages (a longrope has a RoPE for short rows of its own)");
    }
    if (stage.attention->belongs_to_model()) {
      io.error(fmt::format("stages.{}.attention", i),
               fmt::format("{} belongs to the model, which stages that take turns share; take "
                           "another, or leave train.interleave out",
                           stage.attention->name()));
    }
  }
}

void check_warmup(FieldsIo& io, const Recipe& recipe) {
  const int64_t steps = total_steps(recipe.stages);
  const int64_t warmup = recipe.train.lr_schedule.warmup_steps;
  if (steps == 0 || warmup <= steps) return;
  io.error("lr_schedule.warmup_steps",
           fmt::format("{} are more than the {} steps of the run", warmup, steps));
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
  check_memory(io, recipe);
  if (io.reading()) check_full_fine_tuning(io, recipe);
  if (io.reading()) check_loss(io, recipe);
  if (io.reading()) check_packing(io, recipe);
  if (io.reading()) check_attention(io, recipe, has_stages);
  if (io.reading()) check_interleave(io, recipe);
  check_warmup(io, recipe);
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
