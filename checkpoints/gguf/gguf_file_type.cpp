#include "checkpoints/gguf/gguf_file_type.h"

#include <algorithm>
#include <cctype>

#include "src/core/text.h"

namespace longspan {

namespace {

constexpr GgufFileType kFileTypes[] = {
    {"F32", 0, "F32"},   {"F16", 1, "F16"},   {"BF16", 32, "BF16"},
    {"Q8_0", 7, "Q8_0"}, {"Q4_0", 2, "Q4_0"}, {"Q4_K_M", 15, "Q4_K"},
};

/// "blk.12.attn_v.weight" -> 12.
int64_t block_layer(const std::string& name) { return std::atoll(name.c_str() + 4); }

/// The first and last eighth of the layers and every third between.
bool use_more_bits(int64_t layer, int64_t layers) {
  return layer < layers / 8 || layer >= 7 * layers / 8 || (layer - layers / 8) % 3 == 2;
}

/// llama_tensor_get_type_impl for the file types we write.
std::string_view wanted_type(const GgufFileType& file_type, const std::string& name, int64_t row,
                             const GgufModelShape& model) {
  std::string_view type = file_type.most;
  if (name == "output.weight" || (model.tied && name == "token_embd.weight")) {
    if (row % find_ggml_type(type)->block_elements != 0) return "Q8_0";
    return type == "Q8_0" ? type : "Q6_K";
  }
  auto is = [&](std::string_view part) { return name.find(part) != name.npos; };
  bool value = is("attn_v.weight") || is("attn_qkv.weight");
  if (file_type.name == "Q4_K_M" && (value || is("ffn_down")) &&
      use_more_bits(block_layer(name), model.layers)) {
    return "Q6_K";
  }
  return value && model.llama2_70b_like && type == "Q4_K" ? "Q5_K" : type;
}

/// tensor_type_fallback: for rows that are no multiple of the block.
std::string_view fitting_type(std::string_view type, int64_t row) {
  if (row % find_ggml_type(type)->block_elements == 0) return type;
  std::string_view smaller = type == "Q4_K"   ? "Q5_0"
                             : type == "Q5_K" ? "Q5_1"
                             : type == "Q6_K" ? "Q8_0"
                                              : type;
  return row % find_ggml_type(smaller)->block_elements == 0 ? smaller : "F16";
}

}  // namespace

std::vector<std::string> gguf_file_types() {
  std::vector<std::string> names;
  for (const auto& type : kFileTypes) names.emplace_back(type.name);
  return names;
}

const GgufFileType& find_gguf_file_type(std::string_view name, std::string_view option) {
  auto same = [](char a, char b) { return std::toupper(static_cast<unsigned char>(a)) == b; };
  for (const auto& type : kFileTypes) {
    if (std::equal(name.begin(), name.end(), type.name.begin(), type.name.end(), same)) return type;
  }
  fail(ExitCode::kUsage, "{}: '{}' is no GGUF type; expected {}", option, name,
       join(gguf_file_types(), ", "));
}

const GgmlType& gguf_tensor_type(const GgufFileType& file_type, const std::string& name,
                                 const std::vector<int64_t>& shape, const GgufModelShape& model) {
  if (shape.size() < 2 || name.ends_with("_norm.weight") || name.starts_with("rope_")) {
    return *find_ggml_type("F32");
  }
  bool quantised = find_ggml_type(file_type.most)->block_elements > 1;
  if (!quantised) return *find_ggml_type(file_type.most);
  return *find_ggml_type(
      fitting_type(wanted_type(file_type, name, shape.back(), model), shape.back()));
}

}  // namespace longspan
