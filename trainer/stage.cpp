#include "trainer/stage.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "src/core/text.h"
#include "src/model/causal_lm.h"

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

std::vector<int64_t> steps_by_stage(const std::vector<Stage>& stages, int64_t step,
                                    bool interleave) {
  std::vector<int64_t> done(stages.size(), 0);
  for (size_t i = 0; !interleave && i < stages.size(); ++i) {
    done[i] = std::min(step, stages[i].steps);
    step -= done[i];
  }
  // Half of the next step counts as done, so that a stage of few steps stands amid those of others.
  const auto is_behind = [&](size_t a, size_t b) {
    return (2 * done[a] + 1) * stages[b].steps < (2 * done[b] + 1) * stages[a].steps;
  };
  for (; interleave && step > 0; --step) {
    size_t next = 0;
    for (size_t i = 1; i < stages.size(); ++i) next = is_behind(i, next) ? i : next;
    ++done[next];
  }
  return done;
}

namespace {

/// Whether `stage` goes on behind the rows that `other` read. Stages that follow each other do
/// within a store; those in turn each go through all rows of their own.
bool goes_on_behind(const Stage& stage, const Stage& other, bool interleave) {
  if (stage.data_path != other.data_path) return false;
  return !interleave || (stage.seq_len == other.seq_len &&
                         stage.attention->passage_rows() == other.attention->passage_rows());
}

}  // namespace

StagePosition stage_position(const std::vector<Stage>& stages, int64_t step, bool interleave) {
  if (step >= total_steps(stages)) throw std::logic_error("a step beyond the last stage");
  const auto before = steps_by_stage(stages, step, interleave);
  const auto after = steps_by_stage(stages, step + 1, interleave);
  StagePosition position;
  while (after[position.stage] == before[position.stage]) ++position.stage;
  for (size_t i = 0; i < stages.size(); ++i) {
    if (!goes_on_behind(stages[position.stage], stages[i], interleave)) continue;
    position.first_row += before[i] * stages[i].rows_per_step();
  }
  return position;
}

namespace {

bool measures_against_max_position_embeddings(const RopeScaling& scaling) {
  return scaling.rope_type() == "dynamic";  // so that it must stay where it was
}

/// The same scaling with original_max_position_embeddings filled in where its formula has the key.
std::shared_ptr<const RopeScaling> with_original_length(std::shared_ptr<const RopeScaling> scaling,
                                                        int64_t original) {
  Json keys = scaling->write();
  if (!keys.contains(kOriginalMaxPositionEmbeddings)) return scaling;
  keys["rope_type"] = scaling->rope_type();
  keys[kOriginalMaxPositionEmbeddings] = original;
  Diagnostics diagnostics;
  scaling = read_rope_scaling(Fields(keys, diagnostics));
  diagnostics.throw_if_any(ExitCode::kRecipe);
  return scaling;
}

RopeExtension replace(int64_t original, std::shared_ptr<const RopeScaling> scaling) {
  if (scaling->original_max_position_embeddings() > 0) {
    original = scaling->original_max_position_embeddings();
  } else {
    scaling = with_original_length(std::move(scaling), original);
  }
  int64_t context = std::llround(static_cast<double>(original) * scaling->factor());
  bool stays = measures_against_max_position_embeddings(*scaling);
  return {std::move(scaling), original, stays ? original : context, context, {}};
}

}  // namespace

RopeExtension extend_rope(const ModelConfig& base, std::shared_ptr<const RopeScaling> scaling,
                          OnScaled on_scaled) {
  const auto [original, usable] = context_length(base);
  const auto other = other_context_length(base);
  if (!scaling) {
    return {base.rope_scaling, original, base.max_position_embeddings, usable, other};
  }
  const bool states_original = scaling->original_max_position_embeddings() > 0;
  if (base.rope_scaling->rope_type() == "default" ||
      (on_scaled == OnScaled::kReplace && (states_original || !other))) {
    return replace(original, std::move(scaling));
  }
  if (other) fail(ExitCode::kModel, "{}", ask_for_original_length(base, *other));
  if (on_scaled == OnScaled::kError) {
    fail(ExitCode::kRecipe,
         "the model's RoPE is scaled already ({} x{:.6g}, from {} to {} positions); give no "
         "scaling to keep that, or choose on_scaled: replace (the factor counts from {}) or "
         "compose (from {})",
         base.rope_scaling->rope_type(), base.rope_scaling->factor(), human_count(original),
         human_count(usable), human_count(original), human_count(usable));
  }
  const int64_t context = std::llround(static_cast<double>(usable) * scaling->factor());
  scaling = compose_rope(*base.rope_scaling, original, usable, *scaling);
  return {std::move(scaling), original, context, context, {}};
}

void apply_rope(const RopeExtension& extension, CausalLm& model) {
  std::optional<int64_t> original;
  if (!extension.other) original = extension.original_max_position_embeddings;
  model.set_rope_scaling(extension.scaling, extension.max_position_embeddings, original);
}

}  // namespace longspan
