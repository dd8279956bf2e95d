#include "checkpoints/half_split_rows.h"

#include "src/core/error.h"

namespace longspan {

at::Tensor half_split_rows(const at::Tensor& rows, int64_t heads, const std::string& place,
                           const std::string& name) {
  int64_t count = rows.dim() > 0 && rows.numel() > 0 ? rows.size(0) : 1;
  if (heads < 1 || count % heads != 0 || count / heads % 2 != 0) {
    fail(ExitCode::kModel, "{}: the rows of '{}' do not make {} heads", place, name, heads);
  }
  return rows.unflatten(0, {heads, -1, 2}).transpose(1, 2).reshape(rows.sizes());
}

}  // namespace longspan
