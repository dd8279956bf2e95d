#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "src/attention/attention.h"
#include "src/core/fields_io.h"
#include "src/model/context_length.h"
#include "src/rope/compose_rope.h"

namespace longspan {

class CausalLm;

/// Tokens of the longest sequence that a recipe or `plan --length` may ask for.
constexpr int64_t kLongestSequence = int64_t{1} << 26;

/// A part of the run with its own length, attention, RoPE and texts: 8K -> 16K -> 32K, or shifted
/// sparse attention first and full attention for the last steps.
struct Stage {
  int64_t steps = 0;  // updates of the weights
  int64_t seq_len = 8192;
  int64_t batch_size = 1;  // rows of a pass
  int64_t gradient_accumulation_steps = 1;
  std::string data_path = {};                                   // empty: the store of all stages
  std::shared_ptr<const AttentionPattern> attention = nullptr;  // never null once read
  std::shared_ptr<const RopeScaling> rope = nullptr;            // null: the base model's own
  OnScaled on_scaled = OnScaled::kError;                        // for `rope` on a scaled base

  int64_t rows_per_step() const { return batch_size * gradient_accumulation_steps; }
  int64_t tokens_per_step() const { return rows_per_step() * seq_len; }
};

/// The keys of an entry of a recipe's `stages`. What is not given stays as it is: `stage` starts
/// with what all stages share.
void fields(FieldsIo& io, Stage& stage);

/// `steps`.
void steps_field(FieldsIo& io, Stage& stage, std::string_view meaning);
/// `seq_len`, `batch_size` and `gradient_accumulation_steps`; `own`: of a stage, else of `train`.
void row_fields(FieldsIo& io, Stage& stage, bool own);
/// `rope` and `attention`; `own`: of a stage, else of the recipe.
void rope_and_attention_fields(FieldsIo& io, Stage& stage, bool own);

int64_t total_steps(const std::vector<Stage>& stages);
int64_t total_tokens(const std::vector<Stage>& stages);

struct StagePosition {
  size_t stage = 0;  // index
  /// A row of the stage's loader. It counts on through the stages of one store, so that within an
  /// epoch no text repeats between stages of one seq_len. Another seq_len cuts other rows, in an
  /// order of their own: text may repeat between the two, or be skipped. With `interleave` it
  /// counts those of the same rows alone.
  int64_t first_row = 0;
};

/// How many of the first `step` steps are of each stage; a pure function. With `interleave` each
/// step is of the stage that is farthest behind its part of the steps, else stages follow each
/// other.
std::vector<int64_t> steps_by_stage(const std::vector<Stage>& stages, int64_t step,
                                    bool interleave);

/// Where the step after `step` finished ones stands; a pure function. `step` < total_steps.
StagePosition stage_position(const std::vector<Stage>& stages, int64_t step, bool interleave);

struct RopeExtension {
  std::shared_ptr<const RopeScaling> scaling;
  int64_t original_max_position_embeddings = 0;
  int64_t max_position_embeddings = 0;  // what config.json will say
  int64_t context_length = 0;           // the longest sequence the scaling is made for
  std::optional<ContextLength> other;   // where a kept scaling leaves two readings open
};

/// What `base` becomes with `scaling` (null: stays as it is, which `on_scaled` does not concern).
///   base unscaled, or kReplace   the original length is the scaling's own, else that of the base;
///                                the context is original x factor
///   base scaled, kCompose        see compose_rope; the context is the base's x factor
///   base scaled, kError          Error(kRecipe) that names the choices
/// The original length is written into formulas that state it (yarn, longrope, llama3). Lengths are
/// those of context_length; a base whose config.json leaves two readings open
/// (other_context_length) throws Error(kModel) that names both, unless `scaling` states the
/// original length.
RopeExtension extend_rope(const ModelConfig& base, std::shared_ptr<const RopeScaling> scaling,
                          OnScaled on_scaled = OnScaled::kError);

/// Puts it on the model.
void apply_rope(const RopeExtension& extension, CausalLm& model);

}  // namespace longspan
