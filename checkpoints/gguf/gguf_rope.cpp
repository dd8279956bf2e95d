#include "checkpoints/gguf/gguf_rope.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace longspan {

namespace {

constexpr const char* kFreqs = "rope_freqs.weight";
constexpr const char* kShort = "rope_factors_short.weight";
constexpr const char* kLong = "rope_factors_long.weight";

/// What llama.cpp multiplies cos and sin by when it applies YaRN.
double yarn_attention_factor(double factor) { return 1 + 0.1 * std::log(factor); }

/// config_entry of a scaling that transformers and llama.cpp know by one number.
bool is_plain_yarn(const Json& entry) {
  return entry["rope_type"] == "yarn" && entry["beta_fast"] == 32.0 && entry["beta_slow"] == 1.0 &&
         entry["truncate"] == true && entry["factor"].get<double>() > 1;
}

void set_attention_factor(double factor, const GgufArchitecture& architecture,
                          GgufMetadata& metadata) {
  auto value = static_cast<float>(factor);
  if (value != 1) metadata.set(architecture.key("rope.scaling.attn_factor"), value);
}

std::vector<float> divisors_of(const RopeScaling& scaling, const RopeGeometry& geometry,
                               int64_t length) {
  RopeFrequencies scaled = scaling.frequencies(geometry, length);
  std::vector<float> divisors;
  std::vector<double> unscaled = unscaled_inv_freq(geometry);
  for (size_t i = 0; i < unscaled.size(); ++i) {
    divisors.push_back(static_cast<float>(unscaled[i] / scaled.inv_freq[i]));
  }
  return divisors;
}

/// The tensor's values, one for each pair of dimensions.
std::vector<double> read_divisors(const GgufReader& gguf, const GgufTensor& tensor, size_t count) {
  at::Tensor stored = gguf.tensor(tensor);
  bool right = stored.scalar_type() == at::kFloat && stored.numel() == static_cast<int64_t>(count);
  std::vector<double> divisors;
  for (size_t i = 0; right && i < count; ++i) {
    // 1.1f becomes 1.1, what its author wrote.
    divisors.push_back(std::stod(fmt::format("{}", stored.const_data_ptr<float>()[i])));
    right = divisors.back() > 0 && std::isfinite(divisors.back());
  }
  if (!right) {
    fail(ExitCode::kModel, "{}: {} has {} elements of {}; expected {} of F32, all above 0",
         gguf.place(), tensor.name, tensor.elements, tensor.type->name, count);
  }
  return divisors;
}

std::string scaling_key(const GgufArchitecture& architecture, const char* name) {
  return architecture.key(fmt::format("rope.scaling.{}", name));
}

/// Whether `entry` divides the frequencies by these divisors.
bool explains(const Json& entry, const std::vector<double>& divisors,
              const RopeGeometry& geometry) {
  Diagnostics diagnostics;
  auto scaling = read_rope_scaling(Fields(entry, diagnostics));
  if (!diagnostics.empty()) return false;
  std::vector<float> made = divisors_of(*scaling, geometry, geometry.max_position_embeddings);
  for (size_t i = 0; i < divisors.size(); ++i) {
    if (!(std::abs(double{made[i]} - divisors[i]) <= 1e-5 * divisors[i])) return false;
  }
  return true;
}

/// Llama 3's parameters behind its divisors d: with t the turns a token, 1/d = 1/factor + s (1 -
/// 1/factor), s = a t - b in [0, 1], a = original / (high - low), b = low / (high - low). One of
/// the three is free; `original` chooses it when it is known, else low_freq_factor is 1.
Json llama3_entry(const std::vector<double>& divisors, const RopeGeometry& geometry,
                  int64_t original) {
  double factor = *std::max_element(divisors.begin(), divisors.end());
  std::vector<std::pair<double, double>> blended;  // (t, s)
  std::vector<double> inv_freq = unscaled_inv_freq(geometry);
  for (size_t i = 0; i < divisors.size(); ++i) {
    double s = (1 / divisors[i] - 1 / factor) / (1 - 1 / factor);
    if (s > 1e-6 && s < 1 - 1e-6) blended.emplace_back(inv_freq[i] / (2 * std::numbers::pi), s);
  }
  double a = 0, b = 1.0 / 3;  // low 1 and high 4, as Meta's
  if (blended.size() > 1) {
    auto [t0, s0] = blended.front();
    auto [t1, s1] = blended.back();
    a = (s0 - s1) / (t0 - t1);
    b = a * t0 - s0;
  } else if (blended.size() == 1) {
    a = (blended[0].second + b) / blended[0].first;
  } else {
    a = static_cast<double>(original > 0 ? original : 8192) / 3;
  }
  if (original <= 0) original = std::llround(a / b);
  auto thousandths = [](double value) { return std::round(value * 1000) / 1000; };
  double range = static_cast<double>(original) / a;
  return {{"rope_type", "llama3"},
          {"factor", factor},
          {"low_freq_factor", thousandths(b * range)},
          {"high_freq_factor", thousandths((b + 1) * range)},
          {kOriginalMaxPositionEmbeddings, original}};
}

Json longrope_entry(const std::vector<double>& short_factor, const std::vector<double>& long_factor,
                    int64_t original, double attention_factor, const RopeGeometry& geometry) {
  auto before = static_cast<double>(original);
  double factor = std::max(1.0, static_cast<double>(geometry.max_position_embeddings) / before);
  Json entry = {{"rope_type", "longrope"},
                {"factor", factor},
                {"short_factor", short_factor},
                {"long_factor", long_factor},
                {kOriginalMaxPositionEmbeddings, original}};
  // The formula's own need not be said.
  double usual = std::sqrt(1 + std::log(factor) / std::log(before));
  if (!(std::abs(attention_factor - usual) < 1e-6)) entry["attention_factor"] = attention_factor;
  return entry;
}

Json entry_of_divisors(const std::vector<double>& divisors, int64_t original,
                       double attention_factor, const RopeGeometry& geometry) {
  if (attention_factor == 1) {
    double factor = divisors.back();
    bool same =
        std::all_of(divisors.begin(), divisors.end(), [&](double d) { return d == factor; });
    if (same && factor == 1) return nullptr;
    if (same && factor > 1) return {{"rope_type", "linear"}, {"factor", factor}};
    Json llama3 = llama3_entry(divisors, geometry, original);
    if (explains(llama3, divisors, geometry)) return llama3;
  }
  if (original <= 0) original = geometry.max_position_embeddings;
  return longrope_entry(divisors, divisors, original, attention_factor, geometry);
}

Json yarn_entry(const GgufReader& gguf, const GgufArchitecture& architecture, double factor,
                double attention_factor, const RopeGeometry& geometry) {
  auto key = [&](const char* name) { return scaling_key(architecture, name); };
  if (double ext = gguf.number(key("yarn_ext_factor"), 1.0); ext != 1) {
    fail(ExitCode::kModel, "{}: {} is {}; expected 1", gguf.place(), key("yarn_ext_factor"), ext);
  }
  Json entry = {{"rope_type", "yarn"}, {"factor", factor}};
  entry[kOriginalMaxPositionEmbeddings] =
      gguf.integer(key("original_context_length"), geometry.max_position_embeddings);
  for (auto [name, ours] :
       {std::pair("yarn_beta_fast", "beta_fast"), std::pair("yarn_beta_slow", "beta_slow"),
        std::pair("yarn_attn_factor", "attention_factor"),
        std::pair("yarn_log_multiplier", "mscale_all_dim")}) {
    if (gguf.value(key(name))) entry[ours] = gguf.number(key(name));
  }
  if (entry.contains("mscale_all_dim")) entry["mscale"] = 1.0;
  if (attention_factor != 1) {
    entry["attention_factor"] = attention_factor * yarn_attention_factor(factor);
  }
  return entry;
}

}  // namespace

Json gguf_rope_scaling(const GgufReader& gguf, const GgufArchitecture& architecture,
                       const RopeGeometry& geometry) {
  auto key = [&](const char* name) { return scaling_key(architecture, name); };
  std::string type = gguf.text(key("type"), "linear");  // llama.cpp's default
  double factor =
      gguf.number(key("factor"), gguf.number(architecture.key("rope.scale_linear"), 1.0));
  double attention_factor = gguf.number(key("attn_factor"), 1.0);
  int64_t original = gguf.integer(key("original_context_length"), 0);
  if (factor == 0 || type == "none") factor = 1;
  size_t pairs = unscaled_inv_freq(geometry).size();

  const GgufTensor *freqs = gguf.find(kFreqs), *shorter = gguf.find(kShort),
                   *longer = gguf.find(kLong);
  bool has_divisors = freqs || shorter || longer;
  if (has_divisors && (factor != 1 || type == "yarn" || !shorter != !longer || (freqs && longer))) {
    fail(ExitCode::kModel,
         "{}: states RoPE scaling twice (a tensor rope_freqs or rope_factors beside '{}'); convert "
         "from the original Hugging Face folder",
         gguf.place(), type);
  }
  if (freqs) {
    return entry_of_divisors(read_divisors(gguf, *freqs, pairs), original, attention_factor,
                             geometry);
  }
  if (shorter) {
    if (original <= 0) original = geometry.max_position_embeddings;
    return longrope_entry(read_divisors(gguf, *shorter, pairs), read_divisors(gguf, *longer, pairs),
                          original, attention_factor, geometry);
  }
  if (type == "yarn") return yarn_entry(gguf, architecture, factor, attention_factor, geometry);
  if ((type != "linear" && type != "none") || attention_factor != 1) {
    fail(ExitCode::kModel,
         "{}: RoPE scaling '{}'{} cannot be converted; expected linear, yarn or longrope with its "
         "tensors; convert from the original Hugging Face folder",
         gguf.place(), type, attention_factor != 1 ? " with attn_factor" : "");
  }
  if (factor == 1) return nullptr;
  return {{"rope_type", "linear"}, {"factor", factor}};
}

std::vector<GgufRopeTensor> write_gguf_rope(const ModelConfig& config,
                                            const GgufArchitecture& architecture,
                                            GgufMetadata& metadata) {
  auto key = [&](const char* name) { return scaling_key(architecture, name); };
  const RopeScaling& scaling = *config.rope_scaling;
  RopeGeometry geometry = config.rope_geometry();
  Json entry = scaling.config_entry(geometry);  // "ntk" is a default of another rope_theta here
  std::string type = entry["rope_type"];
  metadata.set_whole(architecture.key("rope.dimension_count"), geometry.head_dim);
  metadata.set(architecture.key("rope.freq_base"), entry["rope_theta"].get<float>());
  if (type == "default") return {};

  RopeFrequencies frequencies = scaling.frequencies(geometry, config.max_position_embeddings);
  double attention_factor = frequencies.attention_factor;
  auto set_original = [&] {
    auto original = config.original_max_position_embeddings;  // linear's
    if (entry.contains(kOriginalMaxPositionEmbeddings))
      original = entry[kOriginalMaxPositionEmbeddings].get<int64_t>();
    if (original) metadata.set_whole(key("original_context_length"), *original);
  };
  // phi3 in transformers has longrope alone: its divisors can state the others.
  bool by_name = !architecture.takes_rope_factors || architecture.takes_rope_freqs;
  if (by_name && (type == "linear" || (is_plain_yarn(entry) && !config.decoder.local_rope))) {
    metadata.set(key("type"), type);
    metadata.set(key("factor"), entry["factor"].get<float>());
    set_original();
    if (type == "yarn") attention_factor /= yarn_attention_factor(scaling.factor());
    set_attention_factor(attention_factor, architecture, metadata);
    return {};
  }
  if (type == "longrope" && architecture.takes_rope_factors) {
    if (scaling.frequencies(geometry, 1).attention_factor != attention_factor) {
      fail(ExitCode::kModel,
           "rope: llama.cpp has one attention factor for all lengths; short_mscale {} and "
           "long_mscale {} differ",
           entry["short_mscale"].dump(), entry["long_mscale"].dump());
    }
    metadata.set(key("type"), "longrope");  // without a factor: it would divide once more
    set_original();
    set_attention_factor(attention_factor, architecture, metadata);
    return {{kShort, entry["short_factor"].get<std::vector<float>>()},
            {kLong, entry["long_factor"].get<std::vector<float>>()}};
  }
  bool fixed = type != "longrope" && type != "dynamic";  // the same at every length
  if (!fixed || !(architecture.takes_rope_freqs || architecture.takes_rope_factors)) {
    fail(ExitCode::kModel, "rope: llama.cpp cannot compute {} in a {} model; {}", entry.dump(),
         architecture.name,
         type == "dynamic"
             ? "take rope_type ntk, whose factor is fixed"
             : "it knows linear, and yarn with beta_fast 32, beta_slow 1 and truncate");
  }
  set_original();
  set_attention_factor(attention_factor, architecture, metadata);
  auto divisors = divisors_of(scaling, geometry, config.max_position_embeddings);
  if (architecture.takes_rope_freqs) return {{kFreqs, divisors}};
  return {{kShort, divisors}, {kLong, divisors}};
}

}  // namespace longspan
