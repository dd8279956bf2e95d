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
}

}  // namespace longspan
