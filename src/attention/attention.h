#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "src/attention/kernels/interval_attention.h"
#include "src/attention/layer_state.h"
#include "src/attention/rotary.h"
#include "src/core/keyed.h"

namespace longspan {

// B batch, T time (tokens of this pass), H query heads, Hkv key/value heads, D head_dim.

/// What the projections of a layer give its attention.
struct Heads {
  at::Tensor q;     // [B, H, T, D], before rotation
  at::Tensor k, v;  // [B, Hkv, T, D], before rotation
};

/// What attention knows of a pass besides its heads.
struct AttentionContext {
  const Rotary& rotary;
  at::Tensor document_ids;  // [B, T] int64, non-decreasing; undefined when a row is one document
  LayerState* state = nullptr;      // of this layer, made by the pattern; or none
  int64_t sliding_window = 0;       // keys that a query sees at most, its own included; 0: no limit
  AttentionResult* kept = nullptr;  // what recomputation need not compute again, or none
  int64_t layer = 0;
  int64_t first_position = 0;   // of the pass in its sequence: after what the state holds
  int64_t sequence_length = 0;  // tokens of the whole sequence, of which this pass is a part
  /// Rows of a batch that are windows of one document, side by side, from its beginning; 0: rows
  /// have nothing to do with one another.
  int64_t passage_rows = 0;

  /// k, v [B, Hkv, T, D] of this pass behind those that the state holds.
  KeysAndValues with_past(const at::Tensor& k, const at::Tensor& v) const {
    return state ? state->read(first_position, k, v) : KeysAndValues{k, v};
  }
};

/// In what form keys and values are kept.
struct KeyValueForm {
  int64_t heads = 0, head_dim = 0;
  double bits = 16;  // of a number

  double bytes(int64_t tokens) const {
    return 2.0 * static_cast<double>(heads * head_dim * tokens) * bits / 8;
  }
};

/// Who attends to whom; a query sees what its pattern, its document and the model's own sliding
/// window all let it see. A pattern gets heads before rotation because focused memory rotates
/// remembered keys in its own way.
class AttentionPattern : public Keyed {
 public:
  virtual std::string_view name() const = 0;
  /// What `layer` keeps between passes; nullptr when the pattern cannot continue a text.
  virtual std::shared_ptr<LayerState> make_state(int64_t layer) const;
  /// Its own recipe keys (all but `pattern`).
  void fields(FieldsIo& io) override = 0;
  virtual at::Tensor attend(const Heads& heads,
                            const AttentionContext& context) const = 0;  // [B, H, T, D]
  /// The longest stretch of a sequence of seq_len tokens in which positions count: some RoPE
  /// scalings depend on it.
  virtual int64_t rope_length(int64_t seq_len) const { return seq_len; }
  /// The tokens of each pass in which a text of seq_len tokens is read, pass after pass through a
  /// state, so that each sees what it would see if it were generated. By most patterns a token sees
  /// the same however a text is cut: one pass.
  virtual std::vector<int64_t> reading_passes(int64_t seq_len) const { return {seq_len}; }
  /// Of how many windows of a document it wants the rows of a training batch; 0: rows are texts of
  /// their own.
  virtual int64_t passage_rows() const { return 0; }
  /// In such a batch of `rows` rows, the most before its own that a row of `layer` attends to in
  /// one piece; 0: it attends to itself alone.
  virtual int64_t other_rows(int64_t layer, int64_t rows) const;
  /// Whether it is a part of the model, which its config.json must say: what was trained with it is
  /// read with it.
  virtual bool belongs_to_model() const { return false; }
  /// What does not suit a model of so many layers and query heads; empty: nothing.
  virtual std::string misfit(int64_t num_layers, int64_t num_heads) const;
  /// Its name for people, with the part of such a model that attends so where that is not all of
  /// it: "shifted_sparse in 20 of 30 layers".
  virtual std::string describe(int64_t num_layers, int64_t num_heads) const;
  /// The same of training passes of `rows` rows of seq_len tokens.
  virtual std::string misfit_of_batch(int64_t rows, int64_t seq_len) const;
  /// Query-key pairs that all of num_heads heads score in one document of seq_len tokens.
  virtual int64_t scored_pairs(int64_t seq_len, int64_t num_heads) const = 0;
  /// The same of `layer` that reads it.
  virtual int64_t read_pairs(int64_t layer, int64_t seq_len, int64_t num_heads) const;
  /// The same of `layer` in a training pass of `rows` rows, each a document or a window of one.
  virtual int64_t trained_pairs(int64_t layer, int64_t rows, int64_t seq_len,
                                int64_t num_heads) const;
  /// What the state of `layer` holds when it has read seq_len tokens.
  virtual double kept_bytes(int64_t layer, int64_t seq_len, const KeyValueForm& form) const;
};

/// The patterns there are ("full", "shifted_sparse", "sliding_window", "focused_memory"), and one
/// with its defaults (nullptr: unknown).
std::vector<std::string> attention_patterns();
std::shared_ptr<AttentionPattern> make_attention_pattern(std::string_view name);

/// Reads {pattern, ...} of a recipe; an absent map is "full". Errors go to the diagnostics.
std::shared_ptr<AttentionPattern> read_attention_pattern(Fields fields);

/// The map that read_attention_pattern reads back as the same.
Json write_attention_pattern(const AttentionPattern& pattern);

/// The keys of the map where its pattern is this one.
void describe_attention_pattern(const std::string& name, FieldsSchema& schema);

}  // namespace longspan
