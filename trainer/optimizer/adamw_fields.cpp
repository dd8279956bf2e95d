#include "trainer/optimizer/adamw.h"

namespace longspan {

namespace {

void betas_field(FieldsIo& io, AdamWOptions& options) {
  std::vector<double> betas{options.beta1, options.beta2};
  const Json number = {{"type", "number"}, {"minimum", 0}, {"exclusiveMaximum", 1}};
  io.put("betas", betas, {{"type", "array"}, {"items", number}, {"minItems", 2}, {"maxItems", 2}},
         "of the two moments");
  Fields* fields = io.reading();
  if (!fields) return;
  fields->optional("betas", betas);
  const bool two = betas.size() == 2;
  if (two && betas[0] >= 0 && betas[0] < 1 && betas[1] >= 0 && betas[1] < 1) {
    options.beta1 = betas[0];
    options.beta2 = betas[1];
  } else {
    fields->error("betas", "expected two numbers from 0 to less than 1, such as [0.9, 0.95]");
  }
}

}  // namespace

void fields(FieldsIo& io, AdamWOptions& options) {
  io.prose("AdamW.");
  io.positive("lr", options.lr, "the largest learning rate; `lr_schedule` scales it");
  betas_field(io, options);
  io.positive("eps", options.eps, "added to the root of the second moment");
  io.number("weight_decay", options.weight_decay, {0, 1e6},
            "of matrices; norms, biases and embeddings never decay");
  io.number("lora_plus_ratio", options.lora_plus_ratio, {1e-3, 1e6},
            "LoRA+: the learning rate of every B over that of every A, and as in PEFT of norms, "
            "biases and DoRA's magnitudes too; the authors take 16",
            {.written = options.lora_plus_ratio != 1});
  io.maps("groups", options.groups, {}, "weights with a learning rate or decay of their own",
          {.written = !options.groups.empty()});
  io.prose(
      "`groups: [{pattern: embed_tokens|norm, lr: 2e-5}]` trains embeddings and norms at 2e-5. A "
      "weight is in the first group whose pattern is found anywhere in its name, such as "
      "`model.layers.0.self_attn.q_proj.lora_B.weight`; a group's `lr` counts in place of "
      "`lora_plus_ratio`.");
}

}  // namespace longspan
