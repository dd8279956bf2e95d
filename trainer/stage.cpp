#include "trainer/stage.h"

#include <cmath>
#include <stdexcept>

namespace longspan {

int64_t total_steps(const std::vector<Stage>& stages) {
  int64_t steps = 0;
  for (const auto& stage : stages) steps += stage.steps;
  return steps;
}

int64_t total_tokens(const std::vector<Stage>& stages) {
  int64_t tokens = 0;
  for (const auto& stage : stages) tokens += stage.steps * stage.tokens_per_step();
  return tokens;
}

StagePosition stage_position(const std::vector<Stage>& stages, int64_t step) {
  int64_t batches = 0;
  for (size_t i = 0; i < stages.size(); ++i) {
    if (step < stages[i].steps) {
      return {i, batches + step * stages[i].gradient_accumulation_steps, step == 0};
    }
    step -= stages[i].steps;
    batches += stages[i].steps * stages[i].gradient_accumulation_steps;
  }
  throw std::logic_error("a step beyond the last stage");
}

namespace {

bool measures_against_max_position_embeddings(const RopeScaling& scaling) {
  return scaling.rope_type() == "dynamic";  // so that it must stay where it was
}

/// The context of a model before its own scaling.
int64_t original_length(const ModelConfig& config) {
  const RopeScaling& scaling = *config.rope_scaling;
  if (scaling.original_max_position_embeddings() > 0) {
    return scaling.original_max_position_embeddings();
  }
  if (measures_against_max_position_embeddings(scaling)) return config.max_position_embeddings;
  return std::llround(static_cast<double>(config.max_position_embeddings) / scaling.factor());
}

/// The same scaling with original_max_position_embeddings filled in where its formula has the key.
std::shared_ptr<const RopeScaling> with_original_length(std::shared_ptr<const RopeScaling> scaling,
                                                        int64_t original) {
  Json keys = scaling->write();
  if (!keys.contains("original_max_position_embeddings")) return scaling;
  keys["rope_type"] = scaling->rope_type();
  keys["original_max_position_embeddings"] = original;
  Diagnostics diagnostics;
  scaling = read_rope_scaling(Fields(keys, diagnostics));
  diagnostics.throw_if_any(ExitCode::kRecipe);
  return scaling;
}

}  // namespace

RopeExtension extend_rope(const ModelConfig& base, std::shared_ptr<const RopeScaling> scaling) {
  int64_t original = original_length(base);
  if (!scaling) {
    return {base.rope_scaling, original, base.max_position_embeddings,
            base.max_position_embeddings};
  }
  if (scaling->original_max_position_embeddings() > 0) {
    original = scaling->original_max_position_embeddings();
  } else {
    scaling = with_original_length(std::move(scaling), original);
  }
  int64_t context = std::llround(static_cast<double>(original) * scaling->factor());
  bool stays = measures_against_max_position_embeddings(*scaling);
  return {std::move(scaling), original, stays ? original : context, context};
}

}  // namespace longspan
