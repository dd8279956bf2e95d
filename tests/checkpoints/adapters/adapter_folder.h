#pragma once

#include <ATen/TensorOperators.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include "checkpoints/adapters/adapted_model.h"
#include "checkpoints/adapters/merge.h"
#include "checkpoints/adapters/peft_adapter.h"
#include "checkpoints/hf/hf_config.h"
#include "checkpoints/hf/hf_exporter.h"
#include "checkpoints/hf/hf_importer.h"
#include "src/model/apply_lora.h"
#include "tests/checkpoints/model_folder.h"
#include "tests/checkpoints/temporary_folder.h"
#include "tests/support/float32_bound.h"

namespace longspan {

namespace fs = std::filesystem;

/// A tied base on disk, and a model trained from it: LoRA on q and o, norms, and embed_tokens.
class PeftAdapterFolder : public testing::Test {
 protected:
  PeftAdapterFolder() { write_model_folder(base_, *random_model(tiny_llama_config())); }

  PeftAdapter trained(std::vector<std::string> modules_to_save = {"embed_tokens", "norm"}) {
    model_ = import_model(*open_model_source(base_), {.dtype = at::kFloat});
    PeftAdapter adapter;
    adapter.lora = {.r = 2,
                    .lora_alpha = 6,
                    .target_modules = {"q_proj", "o_proj"},
                    .modules_to_save = std::move(modules_to_save)};
    adapter.base_model_name_or_path = base_.string();
    apply_lora(*model_, adapter.lora);
    model_->visit_parameters("", [&](const std::string& name, at::Tensor& parameter) {
      if (!parameter.requires_grad()) return;
      parameter = parameter.detach() + at::randn(parameter.sizes()) * 0.1;
      adapter.tensors[name] = parameter;
    });
    Json keys = {{"rope_type", "yarn"}, {"factor", 2.0}, {"original_max_position_embeddings", 64}};
    Diagnostics diagnostics;
    model_->set_rope_scaling(read_rope_scaling(Fields(keys, diagnostics)), 128);
    adapter.config_json = write_hf_config(model_->config(), at::kFloat);
    return adapter;
  }

  PeftAdapter through_disk(const PeftAdapter& adapter) {
    fs::create_directories(adapter_);
    write_peft_adapter(adapter_, adapter);
    return read_peft_adapter(adapter_);
  }

  void merge(const ModelSource& base, const PeftAdapter& adapter, int64_t shard_bytes) {
    export_hf(*merged_source(base, adapter), adapted_config(base, adapter), out_,
              {.dtype = at::kFloat, .shard_bytes = shard_bytes});
  }

  /// Of logits that a merged weight or another kernel gives.
  double bound() {
    const at::Tensor logits = logits_of(*model_);
    return float32_bound(logits, terms_of_logits(model_->config(), logits.size(-2)));
  }

  TemporaryFolder folder_;
  fs::path base_ = folder_.path() / "base", adapter_ = folder_.path() / "adapter",
           out_ = folder_.path() / "merged";
  std::unique_ptr<CausalLm> model_;
};

}  // namespace longspan
