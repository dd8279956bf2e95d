#include "checkpoints/half_split_rows.h"

#include "src/core/error.h"

namespace longspan {

namespace {

void require_heads(const at::Tensor& rows, int64_t heads, const std::string& place,
                   const std::string& name) {
  const int64_t count = rows.dim() > 0 && rows.numel() > 0 ? rows.size(0) : 1;
  if (heads < 1 || count % heads != 0 || count / heads % 2 != 0) {
    fail(ExitCode::kModel, "{}: the rows of '{}' do not make {} heads", place, name, heads);
  }
}

}  // namespace

at::Tensor half_split_rows(const at::Tensor& rows, int64_t heads, const std::string& place,
                           const std::string& name) {
  require_heads(rows, heads, place, name);
  return rows.unflatten(0, {heads, -1, 2}).transpose(1, 2).reshape(rows.sizes());
}

at::Tensor interleaved_rows(const at::Tensor& rows, int64_t heads, const std::string& place,
                            const std::string& name) {
  require_heads(rows, heads, place, name);
  return rows.unflatten(0, {heads, 2, -1}).transpose(1, 2).reshape(rows.sizes());
}

std::optional<int64_t> rotated_heads(const std::string& name, int64_t num_attention_heads,
                                     int64_t num_key_value_heads) {
  if (name.find("self_attn.q_proj.") != name.npos) return num_attention_heads;
  if (name.find("self_attn.k_proj.") != name.npos) return num_key_value_heads;
  return std::nullopt;
}

}  // namespace longspan
