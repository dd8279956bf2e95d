#include "trainer/plan/training_flops.h"

#include <algorithm>
#include <numeric>

#include "src/attention/key_starts.h"
#include "trainer/plan/real.h"

namespace longspan {

namespace {

/// Weights of the projections of one layer.
struct LayerWeights {
  double query_key_value, o_proj, gate_up, down_proj;

  explicit LayerWeights(const ModelConfig& c)
      : query_key_value(real(c.hidden_size) * real(c.head_dim) *
                        real(c.num_attention_heads + 2 * c.num_key_value_heads)),
        o_proj(real(c.hidden_size) * real(c.head_dim) * real(c.num_attention_heads)),
        gate_up(2 * real(c.hidden_size) * real(c.intermediate_size)),
        down_proj(real(c.hidden_size) * real(c.intermediate_size)) {}

  double total() const { return query_key_value + o_proj + gate_up + down_proj; }
};

/// Of each layer: of the pairs that `of_layer` says it scores, or of those of the model's own
/// window where that is less.
template <class PairsOfLayer>
std::vector<double> attention_flops(const ModelConfig& config, int64_t rows, int64_t seq_len,
                                    const PairsOfLayer& of_layer) {
  const int64_t heads = config.num_attention_heads;
  std::vector<double> flops;
  for (int64_t layer = 0; layer < config.num_hidden_layers; ++layer) {
    int64_t pairs = of_layer(layer);
    const int64_t window = config.layer(layer).sliding_window;
    if (window > 0) pairs = std::min(pairs, rows * heads * pairs_within_window(seq_len, window));
    flops.push_back(4.0 * real(config.head_dim) * real(pairs));
  }
  return flops;
}

/// What `part` of the layers computes again, of the forward pass that `flops` has; `attention` is
/// what attention takes in these layers.
void add_recomputed(StepFlops& flops, const ModelConfig& config, Recompute what, double part,
                    double attention) {
  if (what == Recompute::kNone) return;
  const LayerWeights weights(config);
  double again = weights.query_key_value + weights.gate_up;
  if (config.decoder.sandwich_norms) {  // which come after them
    again += weights.o_proj + weights.down_proj;
  } else if (what != Recompute::kSelective) {  // the MLP's input is made again
    again += weights.o_proj;
  }
  flops.linears_recomputed += part * flops.linears_forward * again / weights.total();
  if (what == Recompute::kLayer) flops.attention_recomputed += attention;
}

}  // namespace

double forward_flops(const ModelConfig& config, const AttentionPattern& attention, int64_t seq_len,
                     int64_t rows) {
  double weights = real(config.num_hidden_layers) * LayerWeights(config).total() +
                   real(config.vocab_size) * real(config.hidden_size);
  const auto read = [&](int64_t layer) {
    return rows * attention.read_pairs(layer, seq_len, config.num_attention_heads);
  };
  const std::vector<double> of_layers = attention_flops(config, rows, seq_len, read);
  return 2.0 * real(rows) * weights * real(seq_len) +
         std::accumulate(of_layers.begin(), of_layers.end(), 0.0);
}

StepFlops step_flops(const ModelConfig& config, const Stage& stage, const MemoryOptions& memory,
                     bool trains_head, double trained_projections) {
  StepFlops flops;
  flops.linears_forward = 2.0 * real(config.num_hidden_layers) * real(stage.tokens_per_step()) *
                          LayerWeights(config).total();
  flops.linears_backward = (1 + trained_projections) * flops.linears_forward;
  const auto trained = [&](int64_t layer) {
    return stage.attention->trained_pairs(layer, stage.batch_size, stage.seq_len,
                                          config.num_attention_heads);
  };
  const std::vector<double> of_layers =
      attention_flops(config, stage.batch_size, stage.seq_len, trained);
  const int64_t layers = config.num_hidden_layers, first = first_layers(memory, layers);
  const auto rest = of_layers.begin() + first;
  const double passes = real(stage.gradient_accumulation_steps);
  const double of_first = passes * std::accumulate(of_layers.begin(), rest, 0.0);
  const double of_rest = passes * std::accumulate(rest, of_layers.end(), 0.0);
  flops.attention_forward = of_first + of_rest;
  flops.attention_backward = 2.5 * flops.attention_forward;
  add_recomputed(flops, config, *memory.recompute, real(first) / real(layers), of_first);
  add_recomputed(flops, config, recompute_of_rest(memory), real(layers - first) / real(layers),
                 of_rest);
  flops.head = 2.0 * (trains_head ? 3 : 2) * real(config.vocab_size) * real(config.hidden_size) *
               real(stage.tokens_per_step());
  return flops;
}

}  // namespace longspan
