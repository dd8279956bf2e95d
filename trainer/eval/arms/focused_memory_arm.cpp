#include "trainer/eval/arms/focused_memory_arm.h"

#include "src/core/error.h"

namespace longspan {

namespace {

/// Not the model's own, which its config would keep when the arm is done.
class ToReadBy : public FocusedMemoryAttention {
 public:
  explicit ToReadBy(const FocusedMemoryAttention& attention) : FocusedMemoryAttention(attention) {}
  bool belongs_to_model() const override { return false; }
};

}  // namespace

void FocusedMemoryArm::fields(FieldsIo& io) {
  attention_.fields(io);
  if (!io.reading()) return;
  Json keys = attention_.write();
  // Those that are left out where they are as without them, and undo the model's own.
  const FocusedMemoryOptions& options = attention_.options();
  keys.update({{"search_pages", options.search_pages},
               {"search_page_tokens", options.search_page_tokens},
               {"mem_dir", options.mem_dir},
               {"mem_attention_grouping", options.mem_attention_grouping}});
  for (const auto& [key, value] : keys.items()) {
    if (io.given(key)) given_[key] = value;
  }
}

FocusedMemoryAttention FocusedMemoryArm::attention_of(const ModelConfig& config) const {
  const auto* own = dynamic_cast<const FocusedMemoryAttention*>(config.attention.get());
  if (!own) return attention_;
  Json keys = own->write();
  // That of another window may not fit.
  if (given_.contains("window")) keys.erase("last_context_length");
  keys.update(given_);
  Diagnostics diagnostics("--set");
  Fields map(keys, diagnostics, std::string(name()));
  FocusedMemoryAttention attention;
  attention.read(map);
  diagnostics.throw_if_any(ExitCode::kUsage);
  return attention;
}

void FocusedMemoryArm::check(const EvalSubject& subject) const {
  const ModelConfig& config = subject.model.config();
  if (!config.attention && !given_.contains("mem_layers")) {
    fail(ExitCode::kUsage,
         "focused_memory: the model has no memory of its own; name layers of 0 to {} by --set "
         "focused_memory.mem_layers=[..], or none by []",
         config.num_hidden_layers - 1);
  }
  const std::string misfit =
      attention_of(config).misfit(config.num_hidden_layers, config.num_attention_heads);
  if (!misfit.empty()) fail(ExitCode::kUsage, "focused_memory: {}", misfit);
}

void FocusedMemoryArm::change(CausalLm& model, int64_t) const {
  model.set_attention(std::make_shared<ToReadBy>(attention_of(model.config())));
}

}  // namespace longspan
