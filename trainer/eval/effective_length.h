#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace longspan {

/// A length in tokens and the interval it lies in; none where even the shortest length fails.
struct LengthEstimate {
  std::optional<int64_t> length{}, low{}, high{};
};

/// How far each of some models can use its context.
struct EffectiveLengths {
  std::string rule = {};
  std::vector<LengthEstimate> of_models = {};  // in their order; empty where the rule says nothing
};

/// The scores (0 to 1) of the questions of one length.
struct ScoredLength {
  int64_t length = 0;
  std::vector<double> scores;
};

/// NoLiMa's rule (arXiv 2502.05167) against the model's own shortest length: the longest length up
/// to which every measured score is at least 85 % of the score at the shortest. The interval is
/// that of 95 % over 2000 draws of what each length's rate of right answers may be. There is none
/// where the shortest scores 0. By rising length, at least one, each with scores.
LengthEstimate effective_length(const std::vector<ScoredLength>& lengths);
constexpr double kEffectiveShare = 0.85;

/// The losses of the same documents read with one length of context.
struct LossAtLength {
  int64_t length = 0;
  std::vector<double> document_nll;
};

/// Where more context stops lowering the loss: the length of the least mean loss, and the shortest
/// and the longest length that its documents do not tell apart from it (told_apart of
/// statistics.h). With one document there is no interval.
LengthEstimate loss_falls_until(const std::vector<LossAtLength>& lengths);

/// "16K [8K, 32K]"; "none" where a length is.
std::string length_estimate_label(const LengthEstimate& estimate);

}  // namespace longspan
