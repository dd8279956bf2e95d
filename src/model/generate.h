#pragma once

#include <cstdint>
#include <functional>
#include <random>
#include <vector>

#include "src/model/causal_lm.h"

namespace longspan {

/// How many tokens are generated, and how each is chosen.
struct GenerateOptions {
  int64_t max_new_tokens = 128;
  double temperature = 0.0;  // 0 is greedy
  double top_p = 1.0;        // in (0, 1]: sample from the smallest set of tokens with this mass
  uint64_t seed = 0;
  int64_t prefill_chunk_tokens = 4096;
  std::vector<int64_t> never = {};  // ids that are not chosen: rows of padded embeddings
};

/// Throws Error(kUsage) for fewer than one new token, a temperature that is neither 0 nor large
/// enough to divide by, and a top_p outside (0, 1].
void check_generate_options(const GenerateOptions& options);

/// Continues `prompt` token by token with a key/value cache; on_token gets each new id and returns
/// false to stop. Ends after an eos token of the config (which is not handed over) or
/// max_new_tokens. Returns the new ids. `state` may hold what came before the prompt; without it
/// the prompt is all there is. Throws Error(kUsage) for an empty prompt and what
/// check_generate_options() refuses, Error(kNonFinite) for logits that are not finite.
std::vector<int64_t> generate(CausalLm& model, const std::vector<int64_t>& prompt,
                              const GenerateOptions& options,
                              const std::function<bool(int64_t)>& on_token = {},
                              ModelState* state = nullptr);

/// Runs `ids` through the model and into `state`, at most chunk_tokens at a time. Returns the
/// hidden state of the last one, [1, hidden_size]. Throws Error(kUsage) for none.
at::Tensor prefill(CausalLm& model, const std::vector<int64_t>& ids, ModelState& state,
                   int64_t chunk_tokens);

/// The next id after logits [V] (any float dtype), but for options.never: the largest at
/// temperature 0, else drawn from the nucleus of softmax(logits / temperature) (Holtzman et al.
/// 2020, arXiv 1904.09751).
int64_t next_token(const at::Tensor& logits, const GenerateOptions& options,
                   std::mt19937_64& generator);

/// How many of `descending` probabilities (sorted, summing to 1) make up top_p: at least one.
int64_t nucleus_size(const std::vector<float>& descending, double top_p);

}  // namespace longspan
